// Quads of four unsigned pixels times four signed weights: vpdpbusd on 32-byte registers.

#include <immintrin.h>

#include <cstring>

#include "delegate/base/inline.h"
#include "delegate/kernels/depthwise/leaf.h"
#include "delegate/kernels/depthwise/quads.h"

namespace int8x {
namespace {

#include "delegate/kernels/depthwise/quads_x86_256.inc"

struct V : Register256 {
  static constexpr bool kWideWeights = false;
  using Weights = __m256i;
  INT8X_INLINE Weights load_weights(const unsigned char* p) { return load256(p); }
  INT8X_INLINE Words dot(Words acc, Words quads, Weights weights) {
    return _mm256_dpbusd_avx_epi32(acc, quads, weights);
  }
};

#include "delegate/kernels/depthwise/quads_kernel.inc"

}  // namespace

INT8X_QUADS(depthwise_s8_s8_3x3s1_avxvnni, 3, 1, 1)
INT8X_QUADS(depthwise_s8_s8_3x3s2_avxvnni, 3, 2, 1)
INT8X_QUADS(depthwise_s8_s8_5x5s1_avxvnni, 5, 1, 2)
INT8X_QUADS(depthwise_s8_s8_5x5s2_avxvnni, 5, 2, 2)

}  // namespace int8x
