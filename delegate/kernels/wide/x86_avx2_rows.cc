// int16 pools, LOGISTIC, TANH and SOFTMAX, 8 elements at a time.

#include <immintrin.h>

#include <cstring>

#include "delegate/base/inline.h"
#include "delegate/kernels/wide/pointwise.h"
#include "delegate/kernels/wide/softmax.h"
#include "delegate/kernels/wide/x86_avx2_words.h"

namespace int8x {
namespace {

struct W : avx2::WideWords {
  INT8X_INLINE Words sub(Words a, Words b) { return _mm256_sub_epi32(a, b); }
  INT8X_INLINE Words min(Words a, Words b) { return _mm256_min_epi32(a, b); }
  INT8X_INLINE Words max(Words a, Words b) { return _mm256_max_epi32(a, b); }
  INT8X_INLINE Words bit_and(Words a, Words b) { return _mm256_and_si256(a, b); }
  INT8X_INLINE Words bit_xor(Words a, Words b) { return _mm256_xor_si256(a, b); }
  INT8X_INLINE Words abs(Words a) { return _mm256_abs_epi32(a); }
  INT8X_INLINE Words shift_left(Words a, int n) {
    return _mm256_sll_epi32(a, _mm_cvtsi32_si128(n));
  }
  INT8X_INLINE Words shift_right(Words a, int n) {
    return _mm256_srl_epi32(a, _mm_cvtsi32_si128(n));
  }
  INT8X_INLINE Words arithmetic_right(Words a, int n) {
    return _mm256_sra_epi32(a, _mm_cvtsi32_si128(n));
  }
  INT8X_INLINE Words low_product(Words a, Words b) {
    return _mm256_madd_epi16(a, _mm256_blend_epi16(b, _mm256_setzero_si256(), 0xaa));
  }
  INT8X_INLINE Words gather32(const uint32_t* table, Words index) {
    return _mm256_i32gather_epi32(reinterpret_cast<const int*>(table), index, 4);
  }
  INT8X_INLINE Words gather16(const int16_t* table, Words index) {
    return _mm256_i32gather_epi32(reinterpret_cast<const int*>(table), index, 2);
  }
  INT8X_INLINE __m128i mean4(__m128i sum, double half, double inverse) {
    const __m256d x = _mm256_cvtepi32_pd(sum);
    const __m256d sign = _mm256_and_pd(x, _mm256_set1_pd(-0.0));
    const __m256d raised = _mm256_add_pd(x, _mm256_or_pd(_mm256_set1_pd(half), sign));
    return _mm256_cvttpd_epi32(_mm256_mul_pd(raised, _mm256_set1_pd(inverse)));
  }
  INT8X_INLINE Words mean(Words sum, double half, double inverse) {
    return _mm256_set_m128i(mean4(_mm256_extracti128_si256(sum, 1), half, inverse),
                            mean4(_mm256_castsi256_si128(sum), half, inverse));
  }
  INT8X_INLINE int32_t sum(Words x) {
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
  }
  INT8X_INLINE int32_t greatest(Words x) {
    __m128i four = _mm_max_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_max_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
  }
};

#include "delegate/kernels/wide/pool_rows.inc"
#include "delegate/kernels/wide/table_rows.inc"

}  // namespace

void average_pool_s16_s16_avx2(const WidePoolWindow& w) {
  pool<true>(w, average_pool_s16_s16_reference);
}
void max_pool_s16_s16_avx2(const WidePoolWindow& w) { pool<false>(w, max_pool_s16_s16_reference); }

void sigmoid_s16_s16_avx2(const WideSigmoidParams& p, const int16_t* input, int16_t* output,
                          int64_t count) {
  sigmoid(p, input, output, count);
}

void softmax_s16_s16_avx2(const WideSoftmaxParams& p, const int16_t* input, int16_t* output) {
  softmax(p, input, output);
}

}  // namespace int8x
