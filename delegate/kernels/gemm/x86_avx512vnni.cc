#include <immintrin.h>

#include "delegate/kernels/gemm/gemm.h"

namespace int8x {
namespace {

// `rows` x (16 * `panels`) sums in registers: 6 x 4 of them, 4 weight vectors and 1 broadcast fill
// 29 of the 32. vpdpbusd wants its first factor unsigned: that is the lhs, fed as v + 128.
#define INT8X_UNROLL _Pragma("GCC unroll 8")  // sums stay in registers only if all is unrolled

template <int rows, int panels>
void tile(const GemmBlock& b, const uint8_t* lhs, const int8_t* rhs, int32_t* c) {
  const int64_t stride = b.lhs_stride, panel_bytes = int64_t{b.taps} * b.k * 16;
  __m512i sum[rows][panels];
  INT8X_UNROLL
  for (int i = 0; i < rows; ++i) INT8X_UNROLL
  for (int j = 0; j < panels; ++j) sum[i][j] = _mm512_setzero_si512();
  for (int t = 0; t < b.taps; ++t) {
    const uint8_t* row = lhs + b.tap_offsets[t];
    for (int k = 0; k < b.k; k += 4, row += 4, rhs += 64) {
      __m512i weights[panels];
      INT8X_UNROLL
      for (int j = 0; j < panels; ++j) weights[j] = _mm512_load_si512(rhs + j * panel_bytes);
      INT8X_UNROLL
      for (int i = 0; i < rows; ++i) {
        int32_t four;
        __builtin_memcpy(&four, row + i * stride, 4);
        const __m512i values = _mm512_set1_epi32(four);
        INT8X_UNROLL
        for (int j = 0; j < panels; ++j)
          sum[i][j] = _mm512_dpbusd_epi32(sum[i][j], values, weights[j]);
      }
    }
  }
  INT8X_UNROLL
  for (int i = 0; i < rows; ++i) INT8X_UNROLL
  for (int j = 0; j < panels; ++j) _mm512_storeu_si512(c + i * b.c_stride + 16 * j, sum[i][j]);
}

template <int rows>
void row_of_tiles(const GemmBlock& b, const uint8_t* lhs, int32_t* c) {
  const int64_t panel_bytes = int64_t{b.taps} * b.k * 16;
  const int8_t* rhs = b.rhs;
  int panels = (b.n + 15) / 16;
  for (; panels >= 4; panels -= 4, rhs += 4 * panel_bytes, c += 64) tile<rows, 4>(b, lhs, rhs, c);
  if (panels == 3) tile<rows, 3>(b, lhs, rhs, c);
  if (panels == 2) tile<rows, 2>(b, lhs, rhs, c);
  if (panels == 1) tile<rows, 1>(b, lhs, rhs, c);
}

}  // namespace

void gemm_u8_s8_s32_6x64x4_avx512vnni(const GemmBlock& b) {
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
