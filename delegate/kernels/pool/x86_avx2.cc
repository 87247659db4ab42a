// Average and max pooling, 16 channels at a time.

#include <immintrin.h>

#include <cstring>

#include "delegate/base/inline.h"
#include "delegate/kernels/pool/leaf.h"

namespace int8x {
namespace {

struct V {
  static constexpr int kChannels = 16;
  using Bytes = __m128i;
  using Halves = __m256i;
  struct Words {
    __m256i low, high;
  };
  INT8X_INLINE Bytes load(const int8_t* p) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  }
  INT8X_INLINE void store(int8_t* p, Bytes x) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), x);
  }
  INT8X_INLINE Bytes load_some(const int8_t* p, int count) {
    int8_t bytes[kChannels] = {};
    std::memcpy(bytes, p, static_cast<size_t>(count));
    return load(bytes);
  }
  INT8X_INLINE void store_some(int8_t* p, int count, Bytes x) {
    int8_t bytes[kChannels];
    store(bytes, x);
    std::memcpy(p, bytes, static_cast<size_t>(count));
  }
  INT8X_INLINE Bytes max(Bytes a, Bytes b) { return _mm_max_epi8(a, b); }
  INT8X_INLINE Bytes clamp(Bytes x, int32_t min, int32_t max) {
    return _mm_min_epi8(_mm_max_epi8(x, _mm_set1_epi8(static_cast<char>(min))),
                        _mm_set1_epi8(static_cast<char>(max)));
  }
  INT8X_INLINE Halves zero_halves() { return _mm256_setzero_si256(); }
  INT8X_INLINE Halves add(Halves sum, Bytes x) {
    return _mm256_add_epi16(sum, _mm256_cvtepi8_epi16(x));
  }
  INT8X_INLINE Words zero_words() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
  INT8X_INLINE Words widen(Words sum, Halves x) {
    return {_mm256_add_epi32(sum.low, _mm256_cvtepi16_epi32(_mm256_castsi256_si128(x))),
            _mm256_add_epi32(sum.high, _mm256_cvtepi16_epi32(_mm256_extracti128_si256(x, 1)))};
  }
  INT8X_INLINE __m256i average8(__m256i sum, int32_t half, float reciprocal) {
    const __m256i size = _mm256_add_epi32(_mm256_abs_epi32(sum), _mm256_set1_epi32(half));
    const __m256 raised = _mm256_add_ps(_mm256_cvtepi32_ps(size), _mm256_set1_ps(0.5f));
    const __m256i y = _mm256_cvttps_epi32(_mm256_mul_ps(raised, _mm256_set1_ps(reciprocal)));
    return _mm256_sign_epi32(y, sum);
  }
  INT8X_INLINE Bytes average(Words sum, int32_t half, float reciprocal) {
    const __m256i words =
        _mm256_permute4x64_epi64(_mm256_packs_epi32(average8(sum.low, half, reciprocal),
                                                    average8(sum.high, half, reciprocal)),
                                 0xd8);
    return _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  }
};

#include "delegate/kernels/pool/windows.inc"

}  // namespace

void average_pool_s8_s8_avx2(const PoolParams& params, const PoolWindow& window, int8_t* output) {
  if (window.rows * window.columns > kMaxReciprocal) {
    average_pool_s8_s8_reference(params, window, output);
  } else {
    average_pool(params, window, output);
  }
}

void max_pool_s8_s8_avx2(const PoolParams& params, const PoolWindow& window, int8_t* output) {
  max_pool(params, window, output);
}

}  // namespace int8x
