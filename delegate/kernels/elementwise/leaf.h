// Declarations of the leaf kernels listed in kernels.inc.

#ifndef INT8X_KERNELS_ELEMENTWISE_LEAF_H_
#define INT8X_KERNELS_ELEMENTWISE_LEAF_H_

#include "delegate/kernels/elementwise/add.h"
#include "delegate/kernels/elementwise/binary.h"
#include "delegate/kernels/elementwise/mul.h"

namespace int8x {

#define INT8X_ADD_KERNEL(arch, name, takes_line)                                      \
  void name(const AddParams&, const int8_t* lhs, int64_t lhs_step, const int8_t* rhs, \
            int64_t rhs_step, int8_t* output, int64_t count);
#define INT8X_MUL_KERNEL(arch, name)                                                  \
  void name(const MulParams&, const int8_t* lhs, int64_t lhs_step, const int8_t* rhs, \
            int64_t rhs_step, int8_t* output, int64_t count);
#define INT8X_BINARY_KERNEL(arch, name, kind)                                            \
  void name(const BinaryParams&, const int8_t* lhs, int64_t lhs_step, const int8_t* rhs, \
            int64_t rhs_step, int8_t* output, int64_t count);
#include "delegate/kernels/elementwise/kernels.inc"
#undef INT8X_ADD_KERNEL
#undef INT8X_MUL_KERNEL
#undef INT8X_BINARY_KERNEL

}  // namespace int8x

#endif  // INT8X_KERNELS_ELEMENTWISE_LEAF_H_
