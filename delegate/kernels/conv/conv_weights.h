// What conv_pack() makes. Private to the conv family.

#ifndef INT8X_KERNELS_CONV_CONV_WEIGHTS_H_
#define INT8X_KERNELS_CONV_CONV_WEIGHTS_H_

#include "delegate/kernels/conv/conv.h"
#include "delegate/kernels/gemm/gemm_requantize.h"

namespace int8x {

// One GEMM per group: a tap is a kernel row, whose kernel_w * group_in_c weights lie together, as
// the pixels under them do in the input.
struct ConvWeights {
  size_t bytes;
  GemmRequantize kernels;
  int kernel_h, kernel_w, groups;
  int group_in_c, group_out_c;  // channels per group
  int row_k, padded_k;          // k of one tap: kernel_w * group_in_c, and as the kernel takes it
  bool narrow;                  // see RequantizeBlock
  int32_t input_zero_point, output_zero_point, activation_min, activation_max;

  // All of one group lie together; group g starts at g * group_rhs_bytes, g * group_columns.
  const int8_t* rhs;
  int64_t group_rhs_bytes;
  const int32_t* bias;  // with what the zero point and the lhs format add to the sums taken off
  const Multiplier* multipliers;
  int64_t group_columns;
};

}  // namespace int8x

#endif  // INT8X_KERNELS_CONV_CONV_WEIGHTS_H_
