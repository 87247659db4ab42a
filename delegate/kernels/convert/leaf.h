// Declarations of the leaf kernels listed in kernels.inc.

#ifndef INT8X_KERNELS_CONVERT_LEAF_H_
#define INT8X_KERNELS_CONVERT_LEAF_H_

#include "delegate/kernels/convert/convert.h"

namespace int8x {

#define INT8X_QUANTIZE_KERNEL(arch, name) \
  void name(const QuantizeParams&, const float* input, int8_t* output, int64_t count);
#define INT8X_DEQUANTIZE_KERNEL(arch, name) \
  void name(const DequantizeParams&, const int8_t* input, float* output, int64_t count);
#include "delegate/kernels/convert/kernels.inc"
#undef INT8X_QUANTIZE_KERNEL
#undef INT8X_DEQUANTIZE_KERNEL

}  // namespace int8x

#endif  // INT8X_KERNELS_CONVERT_LEAF_H_
