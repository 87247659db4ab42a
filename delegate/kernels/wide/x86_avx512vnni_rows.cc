// int16 pools, 16 elements at a time.

// GCC 12 says so of its own AVX-512 header.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

#include <immintrin.h>

#include "delegate/kernels/wide/pointwise.h"
#include "delegate/kernels/wide/x86_avx512vnni_words.h"

namespace int8x {
namespace {

#define LEAF_INLINE static inline __attribute__((always_inline))
#define LEAF_MEMBER inline __attribute__((always_inline))

struct W : avx512::WideWords {
  static LEAF_MEMBER Words max(Words a, Words b) { return _mm512_max_epi32(a, b); }
  static LEAF_MEMBER __m256i mean8(__m256i sum, double half, double inverse) {
    const __m512d x = _mm512_cvtepi32_pd(sum);
    const __m512d sign = _mm512_and_pd(x, _mm512_set1_pd(-0.0));
    const __m512d raised = _mm512_add_pd(x, _mm512_or_pd(_mm512_set1_pd(half), sign));
    return _mm512_cvttpd_epi32(_mm512_mul_pd(raised, _mm512_set1_pd(inverse)));
  }
  static LEAF_MEMBER Words mean(Words sum, double half, double inverse) {
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
