// int16 activations (16x8): operators that stand beside those of int8 under the same name.

#ifndef INT8X_OPS_WIDE_H_
#define INT8X_OPS_WIDE_H_

#include "delegate/ops/operator.h"
#include "delegate/ops/quantized.h"

namespace int8x {

// An int16 activation of one scale and zero point 0.
Reason read_wide_activation(const TfLiteTensor& tensor, float* scale);

// activation_range() on int16.
bool wide_activation_range(int activation, float scale, ActivationRange* out);

extern const Operator k_wide_conv_2d, k_wide_depthwise_conv_2d, k_wide_fully_connected;
extern const Operator k_wide_add, k_wide_mul, k_wide_logistic, k_wide_tanh, k_wide_softmax;
extern const Operator k_wide_average_pool_2d, k_wide_max_pool_2d;

}  // namespace int8x

#endif  // INT8X_OPS_WIDE_H_
