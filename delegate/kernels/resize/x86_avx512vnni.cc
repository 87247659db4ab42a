// RESIZE_BILINEAR on 64 channels at a time.

// GCC 12 says so of its own AVX-512 header.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

#include <immintrin.h>

#include <cstring>

#include "delegate/fixed_point/vector_avx512.h"
#include "delegate/kernels/resize/leaf.h"

namespace int8x {
namespace {

#define LEAF_INLINE static inline __attribute__((always_inline))
#define LEAF_MEMBER inline __attribute__((always_inline))

struct V {
  static constexpr int kWords = 16;
  using Words = __m512i;
  static LEAF_MEMBER Words load(const int8_t* p) {
    return _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static LEAF_MEMBER Words fill(int32_t x) { return _mm512_set1_epi32(x); }
  static LEAF_MEMBER Words add(Words a, Words b) { return _mm512_add_epi32(a, b); }
  // Both lie within int16, so the upper halves are signs: vpmaddwd on the lower ones alone.
  static LEAF_MEMBER Words multiply(Words a, Words w) {
    return _mm512_madd_epi16(a, _mm512_and_si512(w, _mm512_set1_epi32(0xffff)));
  }
  static LEAF_MEMBER Words multiply_words(Words a, Words b) { return _mm512_mullo_epi32(a, b); }
  static LEAF_MEMBER Words round(Words x) {
    const __m512i away = _mm512_add_epi32(x, _mm512_srai_epi32(x, 31));
    return _mm512_srai_epi32(_mm512_add_epi32(away, _mm512_set1_epi32(1 << 19)), 20);
  }
  static LEAF_MEMBER void store(int8_t* p, const Words w[4]) {
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
