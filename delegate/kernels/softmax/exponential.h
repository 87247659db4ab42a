// gemmlowp's fixed-point exponential and reciprocal, on raw int32 values.

#ifndef INT8X_KERNELS_SOFTMAX_EXPONENTIAL_H_
#define INT8X_KERNELS_SOFTMAX_EXPONENTIAL_H_

#include <cstdint>

#include "delegate/fixed_point/requantize.h"

namespace int8x {

// (a + b) / 2, ties away from zero.
int32_t rounding_half_sum(int32_t a, int32_t b);

// exp(a) for a <= 0, from Q5.26 to Q0.31: the fraction by a polynomial, the rest of a by the
// product of exp(-2^k) over its bits.
int32_t exp_on_negative_values(int32_t a);

// 1 / (1 + a) for a in [0, 1], Q0.31 to Q0.31, by three Newton steps.
int32_t one_over_one_plus_x(int32_t a);

}  // namespace int8x

#endif  // INT8X_KERNELS_SOFTMAX_EXPONENTIAL_H_
