// Declarations of the leaf kernels listed in kernels.inc: each entry names three functions.

#ifndef INT8X_KERNELS_REDUCE_LEAF_H_
#define INT8X_KERNELS_REDUCE_LEAF_H_

#include "delegate/kernels/reduce/mean.h"

namespace int8x {

#define INT8X_MEAN_KERNEL(arch, name)                                                        \
  void name##_add_rows(const int8_t* input, int64_t rows, int64_t row_stride, int64_t count, \
                       int32_t* sums);                                                       \
  int32_t name##_sum(const int8_t* input, int64_t count);                                    \
  void name##_finish(const MeanParams&, const int32_t* sums, int64_t count, int8_t* output);
#include "delegate/kernels/reduce/kernels.inc"
#undef INT8X_MEAN_KERNEL

}  // namespace int8x

#endif  // INT8X_KERNELS_REDUCE_LEAF_H_
