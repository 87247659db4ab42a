// int16 pools, LOGISTIC, TANH and SOFTMAX, 16 elements at a time.

// GCC 12 says so of its own AVX-512 header.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

#include <immintrin.h>

#include <cstring>

#include "delegate/fixed_point/vector_avx512.h"
#include "delegate/kernels/wide/pointwise.h"
#include "delegate/kernels/wide/softmax.h"

namespace int8x {
namespace {

#define LEAF_INLINE static inline __attribute__((always_inline))
#define LEAF_MEMBER inline __attribute__((always_inline))
#define LEAF_LAMBDA __attribute__((always_inline))

struct W {
  static constexpr int kWords = 16;
  using Words = __m512i;
  using Rounding = avx512::Rounding;
  static LEAF_MEMBER Words load(const int16_t* p) {
    return _mm512_cvtepi16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static LEAF_MEMBER Words fill(int32_t x) { return _mm512_set1_epi32(x); }
  static LEAF_MEMBER Words add(Words a, Words b) { return _mm512_add_epi32(a, b); }
  static LEAF_MEMBER Words sub(Words a, Words b) { return _mm512_sub_epi32(a, b); }
  static LEAF_MEMBER Words min(Words a, Words b) { return _mm512_min_epi32(a, b); }
  static LEAF_MEMBER Words max(Words a, Words b) { return _mm512_max_epi32(a, b); }
  static LEAF_MEMBER Words bit_and(Words a, Words b) { return _mm512_and_si512(a, b); }
  static LEAF_MEMBER Words bit_xor(Words a, Words b) { return _mm512_xor_si512(a, b); }
  static LEAF_MEMBER Words abs(Words a) { return _mm512_abs_epi32(a); }
  static LEAF_MEMBER Words shift_left(Words a, int n) {
    return _mm512_sll_epi32(a, _mm_cvtsi32_si128(n));
  }
  static LEAF_MEMBER Words shift_right(Words a, int n) {
    return _mm512_srl_epi32(a, _mm_cvtsi32_si128(n));
  }
  static LEAF_MEMBER Words arithmetic_right(Words a, int n) {
    return _mm512_sra_epi32(a, _mm_cvtsi32_si128(n));
  }
  static LEAF_MEMBER Words low_product(Words a, Words b) {
    return _mm512_madd_epi16(a, _mm512_maskz_mov_epi16(0x55555555, b));
  }
  static LEAF_MEMBER Words gather32(const uint32_t* table, Words index) {
    return _mm512_i32gather_epi32(index, table, 4);
  }
  static LEAF_MEMBER Words gather16(const int16_t* table, Words index) {
    return _mm512_i32gather_epi32(index, table, 2);
  }
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
  static LEAF_MEMBER Rounding rounding(Multiplier m) { return avx512::rounding(m); }
  static LEAF_MEMBER Words full(Words x, const Rounding& r) {
    return avx512::multiply_by_quantized_multiplier(x, r);
  }
  static LEAF_MEMBER int32_t sum(Words x) { return _mm512_reduce_add_epi32(x); }
  static LEAF_MEMBER void store(int16_t* p, Words x, int32_t least, int32_t most) {
    const Words y = min(max(x, fill(least)), fill(most));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(y));
  }
};

#include "delegate/kernels/wide/rows.inc"

}  // namespace

void average_pool_s16_s16_avx512vnni(const WidePoolWindow& w) {
  pool<true>(w, average_pool_s16_s16_avx2);
}
void max_pool_s16_s16_avx512vnni(const WidePoolWindow& w) { pool<false>(w, max_pool_s16_s16_avx2); }

void sigmoid_s16_s16_avx512vnni(const WideSigmoidParams& p, const int16_t* input, int16_t* output,
                                int64_t count) {
  sigmoid(p, input, output, count);
}

int32_t softmax_s16_s16_avx512vnni(const WideSoftmaxParams& p, const int16_t* input, int32_t max,
                                   int64_t count, int16_t* output) {
  return exponentials(p, input, max, count, output);
}

}  // namespace int8x
