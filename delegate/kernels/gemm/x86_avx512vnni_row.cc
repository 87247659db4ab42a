#include <immintrin.h>

#include "delegate/fixed_point/vector_avx512.h"
#include "delegate/kernels/gemm/gemm_requantize.h"
#include "delegate/kernels/gemm/x86_avx512vnni_sums.h"

namespace int8x {

// While the next weights come from memory the last sums are scaled.
void gemv_s8_s8_s8_double_16x4_avx512vnni(const GemmBlock& b, const GemmOutput& o) {
  const __m512i zero_point = _mm512_set1_epi32(o.zero_point);
  const __m512i min = _mm512_set1_epi32(o.min), max = _mm512_set1_epi32(o.max);
  const int8_t* rhs = b.rhs;
  for (int j = 0; j < b.n; j += 16) {
    const int left = b.n - j;
    const __mmask16 mask = static_cast<__mmask16>(left < 16 ? (1u << left) - 1 : 0xffff);
    const __m512i sum =
        _mm512_add_epi32(avx512vnni::sum_row(b, &rhs), _mm512_loadu_si512(o.bias + j));
    __m512i y = avx512::multiply_in_double(sum, o.scales + j);
    y = _mm512_min_epi32(_mm512_max_epi32(_mm512_add_epi32(y, zero_point), min), max);
    _mm512_mask_cvtepi32_storeu_epi8(o.out + j, mask, y);
  }
}

}  // namespace int8x
