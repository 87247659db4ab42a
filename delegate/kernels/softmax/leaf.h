// Declarations of the leaf kernels listed in kernels.inc.

#ifndef INT8X_KERNELS_SOFTMAX_LEAF_H_
#define INT8X_KERNELS_SOFTMAX_LEAF_H_

#include "delegate/kernels/softmax/softmax.h"

namespace int8x {

#define INT8X_SOFTMAX_KERNEL(arch, name) \
  void name(const SoftmaxParams&, const int8_t* input, int8_t* output);
#include "delegate/kernels/softmax/kernels.inc"
#undef INT8X_SOFTMAX_KERNEL

}  // namespace int8x

#endif  // INT8X_KERNELS_SOFTMAX_LEAF_H_
