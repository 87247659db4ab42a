// gemmlowp's fixed-point natural logarithm, on raw int32 values.

#ifndef INT8X_KERNELS_SOFTMAX_LOGARITHM_H_
#define INT8X_KERNELS_SOFTMAX_LOGARITHM_H_

#include <cstdint>

namespace int8x {

// log(a) for a >= 1, from Q12.19 to Q5.26.
int32_t log_of_at_least_one(int32_t a);

}  // namespace int8x

#endif  // INT8X_KERNELS_SOFTMAX_LOGARITHM_H_
