// Average and max pooling, 16 channels at a time.

#include <arm_neon.h>

#include <cstring>

#include "delegate/base/inline.h"
#include "delegate/kernels/pool/leaf.h"

namespace int8x {
namespace {

struct V {
  static constexpr int kChannels = 16;
  using Bytes = int8x16_t;
  struct Halves {
    int16x8_t low, high;
  };
  struct Words {
    int32x4_t part[4];
  };
  INT8X_INLINE Bytes load(const int8_t* p) { return vld1q_s8(p); }
  INT8X_INLINE void store(int8_t* p, Bytes x) { vst1q_s8(p, x); }
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
  INT8X_INLINE Bytes max(Bytes a, Bytes b) { return vmaxq_s8(a, b); }
  INT8X_INLINE Bytes clamp(Bytes x, int32_t min, int32_t max) {
    return vminq_s8(vmaxq_s8(x, vdupq_n_s8(static_cast<int8_t>(min))),
                    vdupq_n_s8(static_cast<int8_t>(max)));
  }
  INT8X_INLINE Halves zero_halves() { return {vdupq_n_s16(0), vdupq_n_s16(0)}; }
  INT8X_INLINE Halves add(Halves sum, Bytes x) {
    return {vaddw_s8(sum.low, vget_low_s8(x)), vaddw_high_s8(sum.high, x)};
  }
  INT8X_INLINE Words zero_words() {
    const int32x4_t zero = vdupq_n_s32(0);
    return {{zero, zero, zero, zero}};
  }
  INT8X_INLINE Words widen(Words sum, Halves x) {
    return {{vaddw_s16(sum.part[0], vget_low_s16(x.low)), vaddw_high_s16(sum.part[1], x.low),
             vaddw_s16(sum.part[2], vget_low_s16(x.high)), vaddw_high_s16(sum.part[3], x.high)}};
  }
  INT8X_INLINE int16x4_t average4(int32x4_t sum, int32_t half, float reciprocal) {
    const int32x4_t size = vaddq_s32(vabsq_s32(sum), vdupq_n_s32(half));
    const float32x4_t raised = vaddq_f32(vcvtq_f32_s32(size), vdupq_n_f32(0.5f));
    const int32x4_t y = vcvtq_s32_f32(vmulq_n_f32(raised, reciprocal));
    return vqmovn_s32(vbslq_s32(vcltzq_s32(sum), vnegq_s32(y), y));
  }
  INT8X_INLINE Bytes average(Words sum, int32_t half, float reciprocal) {
    const int16x8_t low = vcombine_s16(average4(sum.part[0], half, reciprocal),
                                       average4(sum.part[1], half, reciprocal));
    const int16x8_t high = vcombine_s16(average4(sum.part[2], half, reciprocal),
                                        average4(sum.part[3], half, reciprocal));
    return vcombine_s8(vqmovn_s16(low), vqmovn_s16(high));
  }
};

#include "delegate/kernels/pool/windows.inc"

}  // namespace

void average_pool_s8_s8_neon(const PoolParams& params, const PoolWindow& window, int8_t* output) {
  if (window.rows * window.columns > kMaxReciprocal) {
    average_pool_s8_s8_reference(params, window, output);
  } else {
    average_pool(params, window, output);
  }
}

void max_pool_s8_s8_neon(const PoolParams& params, const PoolWindow& window, int8_t* output) {
  max_pool(params, window, output);
}

}  // namespace int8x
