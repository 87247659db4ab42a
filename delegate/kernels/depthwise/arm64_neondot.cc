// Quads of four signed pixels times four signed weights: sdot on 16-byte registers.

#include <arm_neon.h>

#include <cstring>

#include "delegate/base/inline.h"
#include "delegate/fixed_point/vector_neon.h"
#include "delegate/kernels/depthwise/leaf.h"
#include "delegate/kernels/depthwise/quads.h"

namespace int8x {
namespace {

struct V {
  static constexpr int kLanes = 1;
  static constexpr bool kWideWeights = false;
  static constexpr quads::Rounding kRounding = quads::Rounding::doubling_high;
  using Bytes = int8x16_t;
  using Halves = int16x8_t;
  using Words = int32x4_t;
  using Weights = int8x16_t;
  using Tail = int;
  struct Limits {
    int16x8_t zero_point;
    int8x16_t min, max;
  };
  struct Constants {
    int32x4_t multiplier, right;
  };

  static Tail tail(int channels) { return channels; }
  static Limits limits(int32_t zero_point, int32_t min, int32_t max) {
    return {vdupq_n_s16(static_cast<int16_t>(zero_point)), vdupq_n_s8(static_cast<int8_t>(min)),
            vdupq_n_s8(static_cast<int8_t>(max))};
  }

  static int stored(int8_t q) { return q; }

  template <int groups, bool full>
  INT8X_INLINE Bytes load(const int8_t* const* p, Tail n) {
    if (full) return vld1q_s8(p[0]);
    if (n == 8) return vcombine_s8(vld1_s8(p[0]), vdup_n_s8(0));
    int8_t bytes[16] = {};
    std::memcpy(bytes, p[0], static_cast<size_t>(n));
    return vld1q_s8(bytes);
  }

  template <int groups>
  INT8X_INLINE void store(int8_t* p, Tail n, int, Bytes x) {
    if (n == 16) {
      vst1q_s8(p, x);
    } else if (n == 8) {
      vst1_s8(p, vget_low_s8(x));
    } else {
      int8_t bytes[16];
      vst1q_s8(bytes, x);
      std::memcpy(p, bytes, static_cast<size_t>(n));
    }
  }

  INT8X_INLINE void interleave(Bytes a, Bytes b, Bytes c, Bytes d, unsigned char* to) {
    const int16x8_t ab_low = vreinterpretq_s16_s8(vzip1q_s8(a, b));
    const int16x8_t ab_high = vreinterpretq_s16_s8(vzip2q_s8(a, b));
    const int16x8_t cd_low = vreinterpretq_s16_s8(vzip1q_s8(c, d));
    const int16x8_t cd_high = vreinterpretq_s16_s8(vzip2q_s8(c, d));
    int16_t* out = reinterpret_cast<int16_t*>(to);
    vst1q_s16(out, vzip1q_s16(ab_low, cd_low));
    vst1q_s16(out + 8, vzip2q_s16(ab_low, cd_low));
    vst1q_s16(out + 16, vzip1q_s16(ab_high, cd_high));
    vst1q_s16(out + 24, vzip2q_s16(ab_high, cd_high));
  }

  INT8X_INLINE Words load_words(const unsigned char* p) {
    return vld1q_s32(reinterpret_cast<const int32_t*>(p));
  }
  INT8X_INLINE Words load_quads(const unsigned char* p) { return load_words(p); }
  INT8X_INLINE Weights load_weights(const unsigned char* p) {
    return vld1q_s8(reinterpret_cast<const int8_t*>(p));
  }
  INT8X_INLINE Words dot(Words acc, Words quads, Weights weights) {
    return vdotq_s32(acc, vreinterpretq_s8_s32(quads), weights);
  }

  template <bool relu>
  INT8X_INLINE Constants constants(const unsigned char* k) {
    return {load_words(k), load_words(k + 16)};
  }

  // With ties rounded up where the activation clamps all negative results.
  template <bool relu>
  INT8X_INLINE Words round(Words acc, const Constants& c) {
    const int32x4_t high = vqrdmulhq_s32(acc, c.multiplier);
    if (relu) return vrshlq_s32(high, c.right);
    return neon::rounding_divide_by_pot(high, {c.multiplier, c.right, c.right});
  }

  INT8X_INLINE Halves pack_words(Words a, Words b) {
    return vcombine_s16(vqmovn_s32(a), vqmovn_s32(b));
  }
  INT8X_INLINE Bytes pack_halves(Halves a, Halves b, const Limits& limits) {
    const int8x8_t low = vqmovn_s16(vqaddq_s16(a, limits.zero_point));
    const int8x8_t high = vqmovn_s16(vqaddq_s16(b, limits.zero_point));
    return vminq_s8(vmaxq_s8(vcombine_s8(low, high), limits.min), limits.max);
  }
};

#include "delegate/kernels/depthwise/quads_kernel.inc"

}  // namespace

INT8X_QUADS(depthwise_s8_s8_3x3s1_neondot, 3, 1, 1)
INT8X_QUADS(depthwise_s8_s8_3x3s2_neondot, 3, 2, 1)
INT8X_QUADS(depthwise_s8_s8_5x5s1_neondot, 5, 1, 2)
INT8X_QUADS(depthwise_s8_s8_5x5s2_neondot, 5, 2, 2)

}  // namespace int8x
