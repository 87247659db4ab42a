// A table of 256 bytes as four of 64: tbl gives 0 past its end, tbx leaves what was there.

#include <arm_neon.h>

#include "delegate/base/inline.h"
#include "delegate/kernels/lut/leaf.h"

namespace int8x {
namespace {

INT8X_INLINE uint8x16x4_t load64(const uint8_t* p) {
  return {{vld1q_u8(p), vld1q_u8(p + 16), vld1q_u8(p + 32), vld1q_u8(p + 48)}};
}

}  // namespace

void lut_x8_x8_neon(const LutParams& params, const uint8_t* input, uint8_t* output, int64_t count) {
  const uint8x16x4_t a = load64(params.table), b = load64(params.table + 64);
  const uint8x16x4_t c = load64(params.table + 128), d = load64(params.table + 192);
  const uint8x16_t step = vdupq_n_u8(64);
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    uint8x16_t x = vld1q_u8(input + i);
    uint8x16_t y = vqtbl4q_u8(a, x);
    x = vsubq_u8(x, step);
    y = vqtbx4q_u8(y, b, x);
    x = vsubq_u8(x, step);
    y = vqtbx4q_u8(y, c, x);
    x = vsubq_u8(x, step);
    vst1q_u8(output + i, vqtbx4q_u8(y, d, x));
  }
  for (; i < count; ++i) output[i] = params.table[input[i]];
}

void lut_s8_s8_clamp_neon(const LutParams& params, const uint8_t* input, uint8_t* output,
                          int64_t count) {
  const int8x16_t min = vdupq_n_s8(params.clamp_min), max = vdupq_n_s8(params.clamp_max);
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const int8x16_t x = vreinterpretq_s8_u8(vld1q_u8(input + i));
    vst1q_u8(output + i, vreinterpretq_u8_s8(vminq_s8(vmaxq_s8(x, min), max)));
  }
  for (; i < count; ++i) output[i] = params.table[input[i]];
}

}  // namespace int8x
