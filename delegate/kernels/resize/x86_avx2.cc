// RESIZE_BILINEAR on 32 channels at a time.

#include <immintrin.h>

#include <cstring>

#include "delegate/base/inline.h"
#include "delegate/fixed_point/vector_avx2.h"
#include "delegate/kernels/resize/leaf.h"

namespace int8x {
namespace {

struct V {
  static constexpr int kWords = 8;
  using Words = __m256i;
  INT8X_INLINE Words load(const int8_t* p) {
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
  INT8X_INLINE Words fill(int32_t x) { return _mm256_set1_epi32(x); }
  INT8X_INLINE Words add(Words a, Words b) { return _mm256_add_epi32(a, b); }
  // Both lie within int16, so the upper halves are signs: vpmaddwd on the lower ones alone.
  INT8X_INLINE Words multiply(Words a, Words w) {
    return _mm256_madd_epi16(a, _mm256_and_si256(w, _mm256_set1_epi32(0xffff)));
  }
  INT8X_INLINE Words multiply_words(Words a, Words b) { return _mm256_mullo_epi32(a, b); }
  INT8X_INLINE Words round(Words x) {
    const __m256i away = _mm256_add_epi32(x, _mm256_srai_epi32(x, 31));
    return _mm256_srai_epi32(_mm256_add_epi32(away, _mm256_set1_epi32(1 << 19)), 20);
  }
  INT8X_INLINE void store(int8_t* p, const Words w[4]) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), avx2::pack_s8(w[0], w[1], w[2], w[3]));
  }
};

#include "delegate/kernels/resize/pixel.inc"

}  // namespace

void resize_bilinear_s8_s8_avx2(const ResizeCorners& corners, int64_t channels, int8_t* output) {
  pixel(corners, channels, output);
}

}  // namespace int8x
