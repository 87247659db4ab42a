#include <immintrin.h>

#include "delegate/kernels/gemm/gemm.h"

namespace int8x {
namespace {

#define INT8X_UNROLL _Pragma("GCC unroll 8")  // sums stay in registers only if all is unrolled

// `rows` x (8 * `vectors`) sums: 6 x 2 registers, 2 for weights, 1 broadcast; a single row takes 8
// vectors, since a product takes 5 cycles. vpdpbusd wants its first factor unsigned: that is the
// lhs, fed as v + 128.
template <int rows, int vectors>
void tile(const GemmBlock& b, const uint8_t* lhs, const int8_t* rhs, int32_t* c) {
  const int64_t stride = b.lhs_stride, panel_bytes = int64_t{b.taps} * b.k * 16;
  __m256i sum[rows][vectors];
  INT8X_UNROLL
  for (int i = 0; i < rows; ++i) {
    INT8X_UNROLL
    for (int j = 0; j < vectors; ++j) sum[i][j] = _mm256_setzero_si256();
  }
  for (int t = 0; t < b.taps; ++t) {
    const uint8_t* row = lhs + b.tap_offsets[t];
    for (int k = 0; k < b.k; k += 4, row += 4, rhs += 64) {
      __m256i weights[vectors];
      INT8X_UNROLL
      for (int j = 0; j < vectors; ++j) {
        const int8_t* p = rhs + j / 2 * panel_bytes + j % 2 * 32;
        weights[j] = _mm256_load_si256(reinterpret_cast<const __m256i*>(p));
      }
      INT8X_UNROLL
      for (int i = 0; i < rows; ++i) {
        int32_t four;
        __builtin_memcpy(&four, row + i * stride, 4);
        const __m256i values = _mm256_set1_epi32(four);
        INT8X_UNROLL
        for (int j = 0; j < vectors; ++j)
          sum[i][j] = _mm256_dpbusd_avx_epi32(sum[i][j], values, weights[j]);
      }
    }
  }
  INT8X_UNROLL
  for (int i = 0; i < rows; ++i) {
    INT8X_UNROLL
    for (int j = 0; j < vectors; ++j)
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(c + i * b.c_stride + 8 * j), sum[i][j]);
  }
}

template <int rows>
void row_of_tiles(const GemmBlock& b, const uint8_t* lhs, int32_t* c) {
  const int64_t panel_bytes = int64_t{b.taps} * b.k * 16;
  int j = 0;
  if constexpr (rows == 1) {
    for (; j + 48 < b.n; j += 64) tile<rows, 8>(b, lhs, b.rhs + j / 16 * panel_bytes, c + j);
  }
  for (; j < b.n; j += 16) tile<rows, 2>(b, lhs, b.rhs + j / 16 * panel_bytes, c + j);
}

}  // namespace

void gemm_u8_s8_s32_6x16x4_avxvnni(const GemmBlock& b) {
  const uint8_t* lhs = static_cast<const uint8_t*>(b.lhs);
  int32_t* c = b.c;
  int m = b.m;
  for (; m >= 6; m -= 6, lhs += 6 * b.lhs_stride, c += 6 * b.c_stride) row_of_tiles<6>(b, lhs, c);
  switch (m) {
    case 5:
      return row_of_tiles<5>(b, lhs, c);
    case 4:
      return row_of_tiles<4>(b, lhs, c);
    case 3:
      return row_of_tiles<3>(b, lhs, c);
    case 2:
      return row_of_tiles<2>(b, lhs, c);
    case 1:
      return row_of_tiles<1>(b, lhs, c);
    default:
      return;
  }
}

}  // namespace int8x
