// int16 values as int32 words, 16 at a time. Only for files compiled for AVX-512 VNNI.

#ifndef INT8X_KERNELS_WIDE_X86_AVX512VNNI_WORDS_H_
#define INT8X_KERNELS_WIDE_X86_AVX512VNNI_WORDS_H_

#include <immintrin.h>

#include "delegate/base/inline.h"
#include "delegate/fixed_point/vector_avx512.h"

namespace int8x::avx512 {

struct WideWords {
  static constexpr int kWords = 16;
  using Words = __m512i;
  using Rounding = avx512::Rounding;
  INT8X_INLINE Words load(const int16_t* p) {
    return _mm512_cvtepi16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  INT8X_INLINE Words fill(int32_t x) { return _mm512_set1_epi32(x); }
  INT8X_INLINE Words add(Words a, Words b) { return _mm512_add_epi32(a, b); }
  INT8X_INLINE Rounding rounding(Multiplier m) { return avx512::rounding(m); }
  INT8X_INLINE Words full(Words x, const Rounding& r) {
    return avx512::multiply_by_quantized_multiplier(x, r);
  }
  INT8X_INLINE void store(int16_t* p, Words x, int32_t min, int32_t max) {
    const Words y = _mm512_min_epi32(_mm512_max_epi32(x, fill(min)), fill(max));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(y));
  }
};

}  // namespace int8x::avx512

#endif  // INT8X_KERNELS_WIDE_X86_AVX512VNNI_WORDS_H_
