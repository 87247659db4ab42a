#include "delegate/kernels/gemm/gemm.h"

namespace int8x {

void gemm_s8_s8_s32_1x1x1_reference(const GemmBlock& b) {
  const int64_t column_bytes = int64_t{b.taps} * b.k;
  for (int i = 0; i < b.m; ++i) {
    for (int j = 0; j < b.n; ++j) {
      uint32_t sum = 0;
      for (int t = 0; t < b.taps; ++t) {
        const int8_t* lhs = static_cast<const int8_t*>(b.lhs) + i * b.lhs_stride + b.tap_offsets[t];
        const int8_t* rhs = b.rhs + j * column_bytes + int64_t{t} * b.k;
        for (int k = 0; k < b.k; ++k) sum += static_cast<uint32_t>(lhs[k] * rhs[k]);
      }
      b.c[i * b.c_stride + j] = static_cast<int32_t>(sum);
    }
  }
}

}  // namespace int8x
