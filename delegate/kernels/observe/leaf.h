// Declarations of the leaf kernels listed in kernels.inc.

#ifndef INT8X_KERNELS_OBSERVE_LEAF_H_
#define INT8X_KERNELS_OBSERVE_LEAF_H_

#include "delegate/kernels/observe/observe.h"

namespace int8x {

#define INT8X_SUMMARIZE_KERNEL(arch, name) \
  void name(const float* x, size_t rows, size_t channels, float* min, float* max, double* sum);
#define INT8X_UPPER_HALVES_KERNEL(arch, name) \
  size_t name(const float* x, size_t n, uint32_t* halves);
#include "delegate/kernels/observe/kernels.inc"
#undef INT8X_SUMMARIZE_KERNEL
#undef INT8X_UPPER_HALVES_KERNEL

}  // namespace int8x

#endif  // INT8X_KERNELS_OBSERVE_LEAF_H_
