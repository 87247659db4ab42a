// The sums of one tile, kept in registers: what both avx512vnni kernels start from. Only for files
// compiled for AVX-512 VNNI.

#ifndef INT8X_KERNELS_GEMM_X86_AVX512VNNI_SUMS_H_
#define INT8X_KERNELS_GEMM_X86_AVX512VNNI_SUMS_H_

#include <immintrin.h>

#include "delegate/base/inline.h"
#include "delegate/kernels/gemm/gemm.h"

namespace int8x::avx512vnni {

#define INT8X_UNROLL _Pragma("GCC unroll 8")  // sums stay in registers only if all is unrolled

#define INT8X_UNROLL_ROWS _Pragma("GCC unroll 18")

constexpr int kRows = 6, kPanels = 4;

static inline int64_t panel_bytes(const GemmBlock& b) { return int64_t{b.taps} * b.k * 16; }

// sum[i][j]: row i of lhs, which starts at rows_at[i], by 16 columns of panel j. 6 x 4 sums, 4
// weight vectors and 1 broadcast fill 29 of the 32 registers. vpdpbusd wants its first factor
// unsigned: that is the lhs, fed as v ^ 0x80 = v + 128, which costs no instruction: vpxord
// broadcasts its operand.
template <int rows, int panels>
INT8X_INLINE void sum_tile(const GemmBlock& b, const uint8_t* const (&rows_at)[rows],
                           const int8_t* rhs, __m512i (&sum)[rows][panels]) {
  const int64_t panel = panel_bytes(b);
  const __m512i sign = _mm512_set1_epi8(-128);
  INT8X_UNROLL_ROWS
  for (int i = 0; i < rows; ++i) INT8X_UNROLL
  for (int j = 0; j < panels; ++j) sum[i][j] = _mm512_setzero_si512();
  for (int t = 0; t < b.taps; ++t) {
    const uint8_t* row[rows];
    INT8X_UNROLL_ROWS
    for (int i = 0; i < rows; ++i) row[i] = rows_at[i] + b.tap_offsets[t];
    for (int64_t k = 0; k < b.k; k += 4, rhs += 64) {
      __m512i weights[panels];
      INT8X_UNROLL
      for (int j = 0; j < panels; ++j) weights[j] = _mm512_load_si512(rhs + j * panel);
      INT8X_UNROLL_ROWS
      for (int i = 0; i < rows; ++i) {
        int32_t four;
        __builtin_memcpy(&four, row[i] + k, 4);
        const __m512i values = _mm512_xor_si512(_mm512_set1_epi32(four), sign);
        INT8X_UNROLL
        for (int j = 0; j < panels; ++j)
          sum[i][j] = _mm512_dpbusd_epi32(sum[i][j], values, weights[j]);
      }
    }
  }
}

// The sums of row 0 with the panel at *rhs, which moves to the next: weights are read once, in the
// order in which they lie, as fast as a cache gives them.
INT8X_INLINE __m512i sum_row(const GemmBlock& b, const int8_t** rhs) {
  constexpr int kSums = 4;  // hide the latency of vpdpbusd
  const __m512i sign = _mm512_set1_epi8(-128);
  const int8_t* weights = *rhs;
  __m512i sum[kSums];
  INT8X_UNROLL
  for (int s = 0; s < kSums; ++s) sum[s] = _mm512_setzero_si512();
  const auto add = [&](__m512i& to, const uint8_t* row) INT8X_INLINE_LAMBDA {
    int32_t four;
    __builtin_memcpy(&four, row, 4);
    const __m512i values = _mm512_xor_si512(_mm512_set1_epi32(four), sign);
    to = _mm512_dpbusd_epi32(to, values, _mm512_load_si512(weights));
    weights += 64;
  };
  for (int t = 0; t < b.taps; ++t) {
    const uint8_t* row = static_cast<const uint8_t*>(b.lhs) + b.tap_offsets[t];
    int k = 0;
    for (; k + 4 * kSums <= b.k; k += 4 * kSums) {
      INT8X_UNROLL
      for (int s = 0; s < kSums; ++s) add(sum[s], row + k + 4 * s);
    }
    for (; k < b.k; k += 4) add(sum[0], row + k);
  }
  *rhs = weights;
  return _mm512_add_epi32(_mm512_add_epi32(sum[0], sum[1]), _mm512_add_epi32(sum[2], sum[3]));
}

constexpr int kReach = 3;

// Whether row i's k are three parts as long as the rows are apart, as in a convolution three pixels
// wide: part x of row i is then part 0 of row i + x.
static inline bool rows_overlap(const GemmBlock& b) {
  return b.lhs_stride % 4 == 0 && b.k == kReach * b.lhs_stride;
}

// sum_tile() for such rows: each broadcast serves three of them. One or two panels would otherwise
// be bound by loads.
template <int rows, int panels>
INT8X_INLINE void sum_overlapping(const GemmBlock& b, const uint8_t* lhs, const int8_t* rhs,
                                  __m512i (&sum)[rows][panels]) {
  const int64_t stride = b.lhs_stride, panel = panel_bytes(b);
  const __m512i sign = _mm512_set1_epi8(-128);
  INT8X_UNROLL_ROWS
  for (int i = 0; i < rows; ++i) INT8X_UNROLL
  for (int j = 0; j < panels; ++j) sum[i][j] = _mm512_setzero_si512();
  for (int t = 0; t < b.taps; ++t, rhs += int64_t{b.k} * 16) {
    const uint8_t* row = lhs + b.tap_offsets[t];
    const int8_t* part = rhs;
    for (int64_t k = 0; k < stride; k += 4, row += 4, part += 64) {
      __m512i weights[kReach][panels];
      INT8X_UNROLL
      for (int x = 0; x < kReach; ++x) INT8X_UNROLL
      for (int j = 0; j < panels; ++j)
        weights[x][j] = _mm512_load_si512(part + x * stride * 16 + j * panel);
      const uint8_t* pixel = row;
      INT8X_UNROLL_ROWS
      for (int i = 0; i < rows + kReach - 1; ++i, pixel += stride) {
        int32_t four;
        __builtin_memcpy(&four, pixel, 4);
        const __m512i values = _mm512_xor_si512(_mm512_set1_epi32(four), sign);
        INT8X_UNROLL
        for (int x = 0; x < kReach; ++x) {
          const int r = i - x;
          if (r < 0 || r >= rows) continue;
          INT8X_UNROLL
          for (int j = 0; j < panels; ++j)
            sum[r][j] = _mm512_dpbusd_epi32(sum[r][j], values, weights[x][j]);
        }
      }
    }
  }
}

}  // namespace int8x::avx512vnni

#endif  // INT8X_KERNELS_GEMM_X86_AVX512VNNI_SUMS_H_
