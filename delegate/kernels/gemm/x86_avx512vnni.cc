#include <immintrin.h>

#include "delegate/kernels/gemm/x86_avx512vnni_sums.h"

namespace int8x {
namespace {

template <int rows, int panels>
void tile(const GemmBlock& b, const uint8_t* lhs, const int8_t* rhs, int32_t* c) {
  __m512i sum[rows][panels];
  const uint8_t* rows_at[rows];
  INT8X_UNROLL
  for (int i = 0; i < rows; ++i) rows_at[i] = lhs + i * b.lhs_stride;
  avx512vnni::sum_tile(b, rows_at, rhs, sum);
  INT8X_UNROLL
  for (int i = 0; i < rows; ++i) INT8X_UNROLL
  for (int j = 0; j < panels; ++j) _mm512_storeu_si512(c + i * b.c_stride + 16 * j, sum[i][j]);
}

void one_row(const GemmBlock& b) {
  const int8_t* rhs = b.rhs;
  for (int j = 0; j < b.n; j += 16) _mm512_storeu_si512(b.c + j, avx512vnni::sum_row(b, &rhs));
}

template <int rows>
void row_of_tiles(const GemmBlock& b, const uint8_t* lhs, int32_t* c) {
  const int64_t panel_bytes = avx512vnni::panel_bytes(b);
  const int8_t* rhs = b.rhs;
  int panels = (b.n + 15) / 16;
  for (; panels >= 4; panels -= 4, rhs += 4 * panel_bytes, c += 64) tile<rows, 4>(b, lhs, rhs, c);
  if (panels == 3) tile<rows, 3>(b, lhs, rhs, c);
  if (panels == 2) tile<rows, 2>(b, lhs, rhs, c);
  if (panels == 1) tile<rows, 1>(b, lhs, rhs, c);
}

}  // namespace

void gemm_s8_s8_s32_6x64x4_avx512vnni(const GemmBlock& b) {
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
      return b.m == 1 ? one_row(b) : row_of_tiles<1>(b, lhs, c);
    default:
      return;
  }
}

}  // namespace int8x
