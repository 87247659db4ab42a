// Declarations of the leaf kernels listed in kernels.inc.

#ifndef INT8X_KERNELS_POOL_LEAF_H_
#define INT8X_KERNELS_POOL_LEAF_H_

#include "delegate/kernels/pool/pool.h"

namespace int8x {

#define INT8X_POOL_KERNEL(arch, name, kind) \
  void name(const PoolParams&, const PoolWindow&, int8_t* output);
#include "delegate/kernels/pool/kernels.inc"
#undef INT8X_POOL_KERNEL

}  // namespace int8x

#endif  // INT8X_KERNELS_POOL_LEAF_H_
