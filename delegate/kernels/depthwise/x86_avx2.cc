// Quads without a dot-product instruction. vpmaddubsw would saturate, so even and odd taps are
// widened to 16 bits apart from each other and go through vpmaddwd, two taps to an int32 lane.

#include <immintrin.h>

#include <cstring>

#include "delegate/base/inline.h"
#include "delegate/kernels/depthwise/leaf.h"
#include "delegate/kernels/depthwise/quads.h"

namespace int8x {
namespace {

#include "delegate/kernels/depthwise/quads_x86_256.inc"

struct V : Register256 {
  static constexpr bool kWideWeights = true;
  struct Weights {
    __m256i even, odd;
  };
  INT8X_INLINE Weights load_weights(const unsigned char* p) {
    return {load256(p), load256(p + 32)};
  }
  INT8X_INLINE Words dot(Words acc, Words quads, Weights weights) {
    const __m256i even = _mm256_and_si256(quads, _mm256_set1_epi16(0xff));
    const __m256i odd = _mm256_srli_epi16(quads, 8);
    return _mm256_add_epi32(acc, _mm256_add_epi32(_mm256_madd_epi16(even, weights.even),
                                                  _mm256_madd_epi16(odd, weights.odd)));
  }
};

#include "delegate/kernels/depthwise/quads_kernel.inc"

}  // namespace

INT8X_QUADS(depthwise_s8_s8_3x3s1_avx2, 3, 1, 1)
INT8X_QUADS(depthwise_s8_s8_3x3s2_avx2, 3, 2, 1)
INT8X_QUADS(depthwise_s8_s8_5x5s1_avx2, 5, 1, 2)
INT8X_QUADS(depthwise_s8_s8_5x5s2_avx2, 5, 2, 2)

}  // namespace int8x
