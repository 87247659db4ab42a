// RESIZE_BILINEAR on 64 channels at a time.

#include <cstring>

#include "delegate/base/avx512.h"
#include "delegate/base/inline.h"
#include "delegate/fixed_point/vector_avx512.h"
#include "delegate/kernels/resize/leaf.h"

namespace int8x {
namespace {

struct V {
  static constexpr int kWords = 16;
  using Words = __m512i;
  INT8X_INLINE Words load(const int8_t* p) {
    return _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  INT8X_INLINE Words fill(int32_t x) { return _mm512_set1_epi32(x); }
  INT8X_INLINE Words add(Words a, Words b) { return _mm512_add_epi32(a, b); }
  // Both lie within int16, so the upper halves are signs: vpmaddwd on the lower ones alone.
  INT8X_INLINE Words multiply(Words a, Words w) {
    return _mm512_madd_epi16(a, _mm512_and_si512(w, _mm512_set1_epi32(0xffff)));
  }
  INT8X_INLINE Words multiply_words(Words a, Words b) { return _mm512_mullo_epi32(a, b); }
  INT8X_INLINE Words round(Words x) {
    const __m512i away = _mm512_add_epi32(x, _mm512_srai_epi32(x, 31));
    return _mm512_srai_epi32(_mm512_add_epi32(away, _mm512_set1_epi32(1 << 19)), 20);
  }
  INT8X_INLINE void store(int8_t* p, const Words w[4]) {
    _mm512_storeu_si512(p, avx512::pack_s8(w[0], w[1], w[2], w[3]));
  }
};

#include "delegate/kernels/resize/pixel.inc"

}  // namespace

void resize_bilinear_s8_s8_avx512vnni(const ResizeCorners& corners, int64_t channels,
                                      int8_t* output) {
  pixel(corners, channels, output);
}

}  // namespace int8x
