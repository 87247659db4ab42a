// Declarations of the leaf kernels listed in kernels.inc.

#ifndef INT8X_KERNELS_LUT_LEAF_H_
#define INT8X_KERNELS_LUT_LEAF_H_

#include "delegate/kernels/lut/lut.h"

namespace int8x {

#define INT8X_LUT_KERNEL(arch, name, clamps) \
  void name(const LutParams&, const uint8_t* input, uint8_t* output, int64_t count);
#include "delegate/kernels/lut/kernels.inc"
#undef INT8X_LUT_KERNEL

}  // namespace int8x

#endif  // INT8X_KERNELS_LUT_LEAF_H_
