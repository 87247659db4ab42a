// What fully_connected_pack() makes. Private to the fully_connected family.

#ifndef INT8X_KERNELS_FULLY_CONNECTED_WEIGHTS_H_
#define INT8X_KERNELS_FULLY_CONNECTED_WEIGHTS_H_

#include "delegate/kernels/fully_connected/fully_connected.h"
#include "delegate/kernels/gemm/gemm_requantize.h"

namespace int8x {

struct FullyConnectedWeights {
  size_t bytes;
  GemmRequantize kernels;
  int in_c, out_c, padded_k;
  int32_t weights_zero_point;
  int32_t output_zero_point, activation_min, activation_max;
  const int8_t* rhs;
  const int32_t* bias;   // with all of acc that does not depend on the input
  const double* scales;  // one for each column
};

}  // namespace int8x

#endif  // INT8X_KERNELS_FULLY_CONNECTED_WEIGHTS_H_
