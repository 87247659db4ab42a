// Average and max pooling, 32 channels at a time.

#include "delegate/base/avx512.h"
#include "delegate/base/inline.h"
#include "delegate/kernels/pool/leaf.h"

namespace int8x {
namespace {

struct V {
  static constexpr int kChannels = 32;
  using Bytes = __m256i;
  using Halves = __m512i;
  struct Words {
    __m512i low, high;
  };
  INT8X_INLINE Bytes load(const int8_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  INT8X_INLINE void store(int8_t* p, Bytes x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x);
  }
  INT8X_INLINE __mmask32 first(int count) {
    return static_cast<__mmask32>((uint64_t{1} << count) - 1);
  }
  INT8X_INLINE Bytes load_some(const int8_t* p, int count) {
    return _mm256_maskz_loadu_epi8(first(count), p);
  }
  INT8X_INLINE void store_some(int8_t* p, int count, Bytes x) {
    _mm256_mask_storeu_epi8(p, first(count), x);
  }
  INT8X_INLINE Bytes max(Bytes a, Bytes b) { return _mm256_max_epi8(a, b); }
  INT8X_INLINE Bytes clamp(Bytes x, int32_t min, int32_t max) {
    return _mm256_min_epi8(_mm256_max_epi8(x, _mm256_set1_epi8(static_cast<char>(min))),
                           _mm256_set1_epi8(static_cast<char>(max)));
  }
  INT8X_INLINE Halves zero_halves() { return _mm512_setzero_si512(); }
  INT8X_INLINE Halves add(Halves sum, Bytes x) {
    return _mm512_add_epi16(sum, _mm512_cvtepi8_epi16(x));
  }
  INT8X_INLINE Words zero_words() { return {_mm512_setzero_si512(), _mm512_setzero_si512()}; }
  INT8X_INLINE Words widen(Words sum, Halves x) {
    return {_mm512_add_epi32(sum.low, _mm512_cvtepi16_epi32(_mm512_castsi512_si256(x))),
            _mm512_add_epi32(sum.high, _mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(x, 1)))};
  }
  INT8X_INLINE __m128i average16(__m512i sum, int32_t half, float reciprocal) {
    const __m512i size = _mm512_add_epi32(_mm512_abs_epi32(sum), _mm512_set1_epi32(half));
    const __m512 raised = _mm512_add_ps(_mm512_cvtepi32_ps(size), _mm512_set1_ps(0.5f));
    const __m512i y = _mm512_cvttps_epi32(_mm512_mul_ps(raised, _mm512_set1_ps(reciprocal)));
    const __m512i minus = _mm512_sub_epi32(_mm512_setzero_si512(), y);
    return _mm512_cvtsepi32_epi8(_mm512_mask_mov_epi32(y, _mm512_movepi32_mask(sum), minus));
  }
  INT8X_INLINE Bytes average(Words sum, int32_t half, float reciprocal) {
    const __m256i low = _mm256_castsi128_si256(average16(sum.low, half, reciprocal));
    return _mm256_inserti128_si256(low, average16(sum.high, half, reciprocal), 1);
  }
};

#include "delegate/kernels/pool/windows.inc"

}  // namespace

void average_pool_s8_s8_avx512vnni(const PoolParams& params, const PoolWindow& window,
                                   int8_t* output) {
  if (window.rows * window.columns > kMaxReciprocal) {
    average_pool_s8_s8_reference(params, window, output);
  } else {
    average_pool(params, window, output);
  }
}

void max_pool_s8_s8_avx512vnni(const PoolParams& params, const PoolWindow& window, int8_t* output) {
  max_pool(params, window, output);
}

}  // namespace int8x
