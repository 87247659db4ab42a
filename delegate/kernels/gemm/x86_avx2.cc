#include <immintrin.h>

#include "delegate/kernels/gemm/gemm.h"

namespace int8x {
namespace {

#define INT8X_UNROLL _Pragma("GCC unroll 8")  // sums stay in registers only if all is unrolled

// `rows` x 16 sums: 12 registers, 2 for weights widened to 16 bits, 1 broadcast, 1 product.
// vpmaddwd adds pairs of 16-bit products: exact, since |a * b| <= 2^14.
template <int rows>
void tile(const GemmBlock& b, const int16_t* lhs, const int8_t* rhs, int32_t* c) {
  const int64_t stride = b.lhs_stride / 2;
  __m256i sum[rows][2];
  INT8X_UNROLL
  for (int i = 0; i < rows; ++i) sum[i][0] = sum[i][1] = _mm256_setzero_si256();
  for (int t = 0; t < b.taps; ++t) {
    const int16_t* row = lhs + b.tap_offsets[t] / 2;
    for (int k = 0; k < b.k; k += 2, row += 2, rhs += 32) {
      const __m128i* pairs = reinterpret_cast<const __m128i*>(rhs);
      const __m256i low = _mm256_cvtepi8_epi16(_mm_load_si128(pairs));
      const __m256i high = _mm256_cvtepi8_epi16(_mm_load_si128(pairs + 1));
      INT8X_UNROLL
      for (int i = 0; i < rows; ++i) {
        int32_t pair;
        __builtin_memcpy(&pair, row + i * stride, 4);
        const __m256i values = _mm256_set1_epi32(pair);
        sum[i][0] = _mm256_add_epi32(sum[i][0], _mm256_madd_epi16(values, low));
        sum[i][1] = _mm256_add_epi32(sum[i][1], _mm256_madd_epi16(values, high));
      }
    }
  }
  INT8X_UNROLL
  for (int i = 0; i < rows; ++i) {
    __m256i* out = reinterpret_cast<__m256i*>(c + i * b.c_stride);
    _mm256_storeu_si256(out, sum[i][0]);
    _mm256_storeu_si256(out + 1, sum[i][1]);
  }
}

template <int rows>
void row_of_tiles(const GemmBlock& b, const int16_t* lhs, int32_t* c) {
  const int64_t panel_bytes = int64_t{b.taps} * b.k * 16;
  for (int j = 0; j < b.n; j += 16) tile<rows>(b, lhs, b.rhs + j / 16 * panel_bytes, c + j);
}

}  // namespace

void gemm_s16_s8_s32_6x16x2_avx2(const GemmBlock& b) {
  const int16_t* lhs = static_cast<const int16_t*>(b.lhs);
  int32_t* c = b.c;
  int m = b.m;
  for (; m >= 6; m -= 6, lhs += 3 * b.lhs_stride, c += 6 * b.c_stride) row_of_tiles<6>(b, lhs, c);
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
