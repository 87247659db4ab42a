// GCC's first scheduler starts all products before it adds any, and then runs out of registers.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-schedule-insns")
#endif

#include <arm_neon.h>

#include "delegate/kernels/gemm/gemm.h"

namespace int8x {
namespace {

#define INT8X_UNROLL _Pragma("GCC unroll 4")  // sums stay in registers only if all is unrolled

// Adds sixteen products of each row to its four sums. smull + smlal2 add two products in 16 bits,
// which holds them unless both are (-128) * (-128): so no weight may be -128. The wide form takes
// any weight. Rows go side by side, so that in-order cores need not wait.
template <int rows, bool wide>
inline void add_products(int32x4_t (&sum)[rows][4], int column, const int8x16_t (&values)[rows],
                         int8x16_t weights) {
  int16x8_t products[rows];
  INT8X_UNROLL
  for (int i = 0; i < rows; ++i)
    products[i] = vmull_s8(vget_low_s8(values[i]), vget_low_s8(weights));
  if (wide) {
    INT8X_UNROLL
    for (int i = 0; i < rows; ++i) sum[i][column] = vpadalq_s16(sum[i][column], products[i]);
    INT8X_UNROLL
    for (int i = 0; i < rows; ++i) products[i] = vmull_high_s8(values[i], weights);
  } else {
    INT8X_UNROLL
    for (int i = 0; i < rows; ++i) products[i] = vmlal_high_s8(products[i], values[i], weights);
  }
  INT8X_UNROLL
  for (int i = 0; i < rows; ++i) sum[i][column] = vpadalq_s16(sum[i][column], products[i]);
}

// `rows` x 4 columns; each register holds four partial sums of one element.
template <int rows, bool wide>
void tile(const GemmBlock& b, const int8_t* lhs, const int8_t* rhs, int32_t* c) {
  int32x4_t sum[rows][4];
  INT8X_UNROLL
  for (int i = 0; i < rows; ++i) {
    INT8X_UNROLL
    for (int j = 0; j < 4; ++j) sum[i][j] = vdupq_n_s32(0);
  }
  for (int t = 0; t < b.taps; ++t) {
    const int8_t* row = lhs + b.tap_offsets[t];
    for (int k = 0; k < b.k; k += 16, row += 16, rhs += 64) {
      int8x16_t values[rows];
      INT8X_UNROLL
      for (int i = 0; i < rows; ++i) values[i] = vld1q_s8(row + i * b.lhs_stride);
      INT8X_UNROLL
      for (int j = 0; j < 4; ++j) add_products<rows, wide>(sum, j, values, vld1q_s8(rhs + 16 * j));
    }
  }
  INT8X_UNROLL
  for (int i = 0; i < rows; ++i) {
    const int32x4_t low = vpaddq_s32(sum[i][0], sum[i][1]);
    const int32x4_t high = vpaddq_s32(sum[i][2], sum[i][3]);
    vst1q_s32(c + i * b.c_stride, vpaddq_s32(low, high));
  }
}

template <int rows, bool wide>
void row_of_tiles(const GemmBlock& b, const int8_t* lhs, int32_t* c) {
  const int64_t panel_bytes = int64_t{b.taps} * b.k * 4;
  for (int j = 0; j < b.n; j += 4) tile<rows, wide>(b, lhs, b.rhs + j / 4 * panel_bytes, c + j);
}

template <bool wide>
void gemm(const GemmBlock& b) {
  const int8_t* lhs = static_cast<const int8_t*>(b.lhs);
  int32_t* c = b.c;
  int m = b.m;
  for (; m >= 4; m -= 4, lhs += 4 * b.lhs_stride, c += 4 * b.c_stride)
    row_of_tiles<4, wide>(b, lhs, c);
  if (m == 3) row_of_tiles<3, wide>(b, lhs, c);
  if (m == 2) row_of_tiles<2, wide>(b, lhs, c);
  if (m == 1) row_of_tiles<1, wide>(b, lhs, c);
}

}  // namespace

void gemm_s8_s8_s32_4x4x16_neon(const GemmBlock& b) { gemm<false>(b); }

void gemm_s8_s8_s32_4x4x16wide_neon(const GemmBlock& b) { gemm<true>(b); }

}  // namespace int8x
