// Declarations of the leaf kernels listed in kernels.inc.

#ifndef INT8X_KERNELS_RESIZE_LEAF_H_
#define INT8X_KERNELS_RESIZE_LEAF_H_

#include "delegate/kernels/resize/resize_bilinear.h"

namespace int8x {

#define INT8X_RESIZE_KERNEL(arch, name) \
  void name(const ResizeCorners& corners, int64_t channels, int8_t* output);
#include "delegate/kernels/resize/kernels.inc"
#undef INT8X_RESIZE_KERNEL

}  // namespace int8x

#endif  // INT8X_KERNELS_RESIZE_LEAF_H_
