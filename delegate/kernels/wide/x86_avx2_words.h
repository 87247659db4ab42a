// int16 values as int32 words, 8 at a time. Only for files compiled for AVX2.

#ifndef INT8X_KERNELS_WIDE_X86_AVX2_WORDS_H_
#define INT8X_KERNELS_WIDE_X86_AVX2_WORDS_H_

#include <immintrin.h>

#include "delegate/base/inline.h"
#include "delegate/fixed_point/vector_avx2.h"

namespace int8x::avx2 {

struct WideWords {
  static constexpr int kWords = 8;
  using Words = __m256i;
  using Rounding = avx2::Rounding;
  INT8X_INLINE Words load(const int16_t* p) {
    return _mm256_cvtepi16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  INT8X_INLINE Words fill(int32_t x) { return _mm256_set1_epi32(x); }
  INT8X_INLINE Words add(Words a, Words b) { return _mm256_add_epi32(a, b); }
  INT8X_INLINE Rounding rounding(Multiplier m) { return avx2::rounding(m); }
  INT8X_INLINE Words full(Words x, const Rounding& r) {
    return avx2::multiply_by_quantized_multiplier(x, r);
  }
  INT8X_INLINE void store(int16_t* p, Words x, int32_t min, int32_t max) {
    const Words y = _mm256_min_epi32(_mm256_max_epi32(x, fill(min)), fill(max));
    const Words halves = _mm256_permute4x64_epi64(_mm256_packs_epi32(y, y), 0x88);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_castsi256_si128(halves));
  }
};

}  // namespace int8x::avx2

#endif  // INT8X_KERNELS_WIDE_X86_AVX2_WORDS_H_
