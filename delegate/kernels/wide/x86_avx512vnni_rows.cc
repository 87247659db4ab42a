// int16 pools, 16 elements at a time.

#include "delegate/base/avx512.h"
#include "delegate/base/inline.h"
#include "delegate/kernels/wide/pointwise.h"
#include "delegate/kernels/wide/x86_avx512vnni_words.h"

namespace int8x {
namespace {

struct W : avx512::WideWords {
  INT8X_INLINE Words max(Words a, Words b) { return _mm512_max_epi32(a, b); }
  INT8X_INLINE __m256i mean8(__m256i sum, double half, double inverse) {
    const __m512d x = _mm512_cvtepi32_pd(sum);
    const __m512d sign = _mm512_and_pd(x, _mm512_set1_pd(-0.0));
    const __m512d raised = _mm512_add_pd(x, _mm512_or_pd(_mm512_set1_pd(half), sign));
    return _mm512_cvttpd_epi32(_mm512_mul_pd(raised, _mm512_set1_pd(inverse)));
  }
  INT8X_INLINE Words mean(Words sum, double half, double inverse) {
    const Words low = _mm512_castsi256_si512(mean8(_mm512_castsi512_si256(sum), half, inverse));
    return _mm512_inserti64x4(low, mean8(_mm512_extracti64x4_epi64(sum, 1), half, inverse), 1);
  }
};

#include "delegate/kernels/wide/pool_rows.inc"

}  // namespace

void average_pool_s16_s16_avx512vnni(const WidePoolWindow& w) {
  pool<true>(w, average_pool_s16_s16_avx2);
}
void max_pool_s16_s16_avx512vnni(const WidePoolWindow& w) { pool<false>(w, max_pool_s16_s16_avx2); }

}  // namespace int8x
