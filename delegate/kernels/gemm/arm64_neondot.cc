#include <arm_neon.h>

#include "delegate/kernels/gemm/gemm.h"

namespace int8x {
namespace {

#define INT8X_UNROLL _Pragma("GCC unroll 4")  // sums stay in registers only if all is unrolled

// Four k of the lhs lane against four k of 4 x 4 columns.
template <int rows, int lane>
inline void step(int32x4_t (&sum)[rows][4], const int8x16_t (&values)[rows], const int8_t* rhs) {
  INT8X_UNROLL
  for (int j = 0; j < 4; ++j) {
    const int8x16_t weights = vld1q_s8(rhs + 64 * lane + 16 * j);
    INT8X_UNROLL
    for (int i = 0; i < rows; ++i) sum[i][j] = vdotq_laneq_s32(sum[i][j], weights, values[i], lane);
  }
}

// `rows` x 16 sums: 16 registers, 4 for the left side, the rest for weights in flight.
template <int rows>
void tile(const GemmBlock& b, const int8_t* lhs, const int8_t* rhs, int32_t* c) {
  int32x4_t sum[rows][4];
  INT8X_UNROLL
  for (int i = 0; i < rows; ++i) {
    INT8X_UNROLL
    for (int j = 0; j < 4; ++j) sum[i][j] = vdupq_n_s32(0);
  }
  for (int t = 0; t < b.taps; ++t) {
    const int8_t* row = lhs + b.tap_offsets[t];
    int k = 0;
    for (; k + 16 <= b.k; k += 16, row += 16, rhs += 256) {
      int8x16_t values[rows];
      INT8X_UNROLL
      for (int i = 0; i < rows; ++i) values[i] = vld1q_s8(row + i * b.lhs_stride);
      step<rows, 0>(sum, values, rhs);
      step<rows, 1>(sum, values, rhs);
      step<rows, 2>(sum, values, rhs);
      step<rows, 3>(sum, values, rhs);
    }
    for (; k < b.k; k += 4, row += 4, rhs += 64) {
      int8x16_t values[rows];
      INT8X_UNROLL
      for (int i = 0; i < rows; ++i) {
        int32_t four;
        __builtin_memcpy(&four, row + i * b.lhs_stride, 4);
        values[i] = vreinterpretq_s8_s32(vdupq_n_s32(four));
      }
      step<rows, 0>(sum, values, rhs);
    }
  }
  INT8X_UNROLL
  for (int i = 0; i < rows; ++i) {
    INT8X_UNROLL
    for (int j = 0; j < 4; ++j) vst1q_s32(c + i * b.c_stride + 4 * j, sum[i][j]);
  }
}

template <int rows>
void row_of_tiles(const GemmBlock& b, const int8_t* lhs, int32_t* c) {
  const int64_t panel_bytes = int64_t{b.taps} * b.k * 16;
  for (int j = 0; j < b.n; j += 16) tile<rows>(b, lhs, b.rhs + j / 16 * panel_bytes, c + j);
}

}  // namespace

void gemm_s8_s8_s32_4x16x4_neondot(const GemmBlock& b) {
  const int8_t* lhs = static_cast<const int8_t*>(b.lhs);
  int32_t* c = b.c;
  int m = b.m;
  for (; m >= 4; m -= 4, lhs += 4 * b.lhs_stride, c += 4 * b.c_stride) row_of_tiles<4>(b, lhs, c);
  if (m == 3) row_of_tiles<3>(b, lhs, c);
  if (m == 2) row_of_tiles<2>(b, lhs, c);
  if (m == 1) row_of_tiles<1>(b, lhs, c);
}

}  // namespace int8x
