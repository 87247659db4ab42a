// float32 and int8, 16 values at a time.

#include <arm_neon.h>

#include <cstring>

#include "delegate/base/inline.h"
#include "delegate/kernels/convert/leaf.h"

namespace int8x {
namespace {

// round_half_away(x / scale) + zero_point. fcvtas rounds like that, but saturates and makes 0 of
// NaN, where x86 and so the formula have INT32_MIN.
INT8X_INLINE int32x4_t quantize4(const float* p, float32x4_t scale, int32x4_t zero_point) {
  const float32x4_t steps = vdivq_f32(vld1q_f32(p), scale);
  const uint32x4_t fits =
      vandq_u32(vcgeq_f32(steps, vdupq_n_f32(-0x1p31f)), vcltq_f32(steps, vdupq_n_f32(0x1p31f)));
  const int32x4_t whole = vbslq_s32(fits, vcvtaq_s32_f32(steps), vdupq_n_s32(INT32_MIN));
  return vaddq_s32(whole, zero_point);
}

INT8X_INLINE void quantize16(const float* p, float32x4_t scale, int32x4_t zero_point, int8_t* to) {
  const int16x8_t low = vcombine_s16(vqmovn_s32(quantize4(p, scale, zero_point)),
                                     vqmovn_s32(quantize4(p + 4, scale, zero_point)));
  const int16x8_t high = vcombine_s16(vqmovn_s32(quantize4(p + 8, scale, zero_point)),
                                      vqmovn_s32(quantize4(p + 12, scale, zero_point)));
  vst1q_s8(to, vcombine_s8(vqmovn_s16(low), vqmovn_s16(high)));
}

}  // namespace

void quantize_f32_s8_neon(const QuantizeParams& params, const float* input, int8_t* output,
                          int64_t count) {
  const float32x4_t scale = vdupq_n_f32(params.scale);
  const int32x4_t zero_point = vdupq_n_s32(params.zero_point);
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) quantize16(input + i, scale, zero_point, output + i);
  if (i == count) return;
  float rest[16] = {};
  int8_t bytes[16];
  std::memcpy(rest, input + i, static_cast<size_t>(count - i) * sizeof(float));
  quantize16(rest, scale, zero_point, bytes);
  std::memcpy(output + i, bytes, static_cast<size_t>(count - i));
}

void dequantize_s8_f32_neon(const DequantizeParams& params, const int8_t* input, float* output,
                            int64_t count) {
  const float32x4_t scale = vdupq_n_f32(params.scale);
  const int16x8_t zero_point = vdupq_n_s16(static_cast<int16_t>(params.zero_point));
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const int16x8_t centred = vsubq_s16(vmovl_s8(vld1_s8(input + i)), zero_point);
    const float32x4_t low = vcvtq_f32_s32(vmovl_s16(vget_low_s16(centred)));
    const float32x4_t high = vcvtq_f32_s32(vmovl_high_s16(centred));
    vst1q_f32(output + i, vmulq_f32(scale, low));
    vst1q_f32(output + i + 4, vmulq_f32(scale, high));
  }
  for (; i < count; ++i) {
    output[i] = params.scale * static_cast<float>(input[i] - params.zero_point);
  }
}

}  // namespace int8x
