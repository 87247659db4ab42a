// The sums of one tile, kept in registers: what both avx512vnni kernels start from. Only for files
// compiled for AVX-512 VNNI.

#ifndef INT8X_KERNELS_GEMM_X86_AVX512VNNI_SUMS_H_
#define INT8X_KERNELS_GEMM_X86_AVX512VNNI_SUMS_H_

#include <immintrin.h>

#include "delegate/kernels/gemm/gemm.h"

namespace int8x::avx512vnni {

#define INT8X_UNROLL _Pragma("GCC unroll 8")  // sums stay in registers only if all is unrolled

constexpr int kRows = 6, kPanels = 4;

static inline int64_t panel_bytes(const GemmBlock& b) { return int64_t{b.taps} * b.k * 16; }

// sum[i][j]: row i of lhs by 16 columns of panel j. 6 x 4 sums, 4 weight vectors and 1 broadcast
// fill 29 of the 32 registers. vpdpbusd wants its first factor unsigned: that is the lhs, fed as
// v ^ 0x80 = v + 128, which costs no instruction: vpxord broadcasts its operand.
template <int rows, int panels>
static inline __attribute__((always_inline)) void sum_tile(const GemmBlock& b, const uint8_t* lhs,
                                                           const int8_t* rhs,
                                                           __m512i (&sum)[rows][panels]) {
  const int64_t stride = b.lhs_stride, panel = panel_bytes(b);
  const __m512i sign = _mm512_set1_epi8(-128);
  INT8X_UNROLL
  for (int i = 0; i < rows; ++i) INT8X_UNROLL
  for (int j = 0; j < panels; ++j) sum[i][j] = _mm512_setzero_si512();
  for (int t = 0; t < b.taps; ++t) {
    const uint8_t* row = lhs + b.tap_offsets[t];
    for (int k = 0; k < b.k; k += 4, row += 4, rhs += 64) {
      __m512i weights[panels];
      INT8X_UNROLL
      for (int j = 0; j < panels; ++j) weights[j] = _mm512_load_si512(rhs + j * panel);
      INT8X_UNROLL
      for (int i = 0; i < rows; ++i) {
        int32_t four;
        __builtin_memcpy(&four, row + i * stride, 4);
        const __m512i values = _mm512_xor_si512(_mm512_set1_epi32(four), sign);
        INT8X_UNROLL
        for (int j = 0; j < panels; ++j)
          sum[i][j] = _mm512_dpbusd_epi32(sum[i][j], values, weights[j]);
      }
    }
  }
}

}  // namespace int8x::avx512vnni

#endif  // INT8X_KERNELS_GEMM_X86_AVX512VNNI_SUMS_H_
