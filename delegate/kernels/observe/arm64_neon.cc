// Channels 8 at a time, each in registers over all rows; the last ones one by one.

#include <arm_neon.h>

#include "delegate/base/inline.h"
#include "delegate/kernels/observe/leaf.h"

namespace int8x {
namespace {

// a < b ? a : b, also for NaN and -0; fmin differs there.
INT8X_INLINE float32x4_t lesser(float32x4_t a, float32x4_t b) {
  return vbslq_f32(vcltq_f32(a, b), a, b);
}
INT8X_INLINE float32x4_t greater(float32x4_t a, float32x4_t b) {
  return vbslq_f32(vcgtq_f32(a, b), a, b);
}

// One channel: rows in any order where that changes no bit of the sum.
void summarize_one(const float* x, size_t n, float* min, float* max, double* sum) {
  float32x4_t least = vdupq_n_f32(*min), most = vdupq_n_f32(*max);
  uint32x4_t smallest = vdupq_n_u32(~0u), largest = vdupq_n_u32(0);
  float64x2_t sum0 = vdupq_n_f64(0), sum1 = vdupq_n_f64(0);
  size_t i = 0;
  for (; i + 4 <= n; i += 4) {
    const float32x4_t v = vld1q_f32(x + i);
    const uint32x4_t size = vreinterpretq_u32_f32(vabsq_f32(v));
    least = lesser(v, least);
    most = greater(v, most);
    // Minus 1, zero is the largest of all: it sets no smallest size.
    smallest = vminq_u32(smallest, vsubq_u32(size, vdupq_n_u32(1)));
    largest = vmaxq_u32(largest, size);
    sum0 = vaddq_f64(sum0, vcvt_f64_f32(vget_low_f32(v)));
    sum1 = vaddq_f64(sum1, vcvt_high_f64_f32(v));
  }
  float lows[4], highs[4];
  vst1q_f32(lows, least);
  vst1q_f32(highs, most);
  for (int k = 0; k < 4; ++k) {
    *min = lows[k] < *min ? lows[k] : *min;
    *max = highs[k] > *max ? highs[k] : *max;
  }
  double total = *sum;
  if (sums_exactly(vminvq_u32(smallest) + 1, vmaxvq_u32(largest), i, total)) {
    total += vaddvq_f64(vaddq_f64(sum0, sum1));
  } else {
    for (size_t k = 0; k < i; ++k) total += x[k];
  }
  for (; i < n; ++i) {
    *min = x[i] < *min ? x[i] : *min;
    *max = x[i] > *max ? x[i] : *max;
    total += x[i];
  }
  *sum = total;
}

// Bytes of the lanes to keep, first ones first, for each set of lanes that are not zero; 255 makes
// 0.
#define LANE(i) 2 * i, 2 * i + 1
#define NONE 255, 255
alignas(8) constexpr uint8_t kKept[16][8] = {
    {NONE, NONE, NONE, NONE},          {LANE(0), NONE, NONE, NONE},
    {LANE(1), NONE, NONE, NONE},       {LANE(0), LANE(1), NONE, NONE},
    {LANE(2), NONE, NONE, NONE},       {LANE(0), LANE(2), NONE, NONE},
    {LANE(1), LANE(2), NONE, NONE},    {LANE(0), LANE(1), LANE(2), NONE},
    {LANE(3), NONE, NONE, NONE},       {LANE(0), LANE(3), NONE, NONE},
    {LANE(1), LANE(3), NONE, NONE},    {LANE(0), LANE(1), LANE(3), NONE},
    {LANE(2), LANE(3), NONE, NONE},    {LANE(0), LANE(2), LANE(3), NONE},
    {LANE(1), LANE(2), LANE(3), NONE}, {LANE(0), LANE(1), LANE(2), LANE(3)}};
#undef LANE
#undef NONE

}  // namespace

void summarize_f32_neon(const float* x, size_t rows, size_t channels, float* min, float* max,
                        double* sum) {
  if (channels == 1) return summarize_one(x, rows, min, max, sum);
  size_t c = 0;
  for (; c + 8 <= channels; c += 8) {
    float32x4_t least0 = vld1q_f32(min + c), least1 = vld1q_f32(min + c + 4);
    float32x4_t most0 = vld1q_f32(max + c), most1 = vld1q_f32(max + c + 4);
    float64x2_t sum0 = vld1q_f64(sum + c), sum1 = vld1q_f64(sum + c + 2);
    float64x2_t sum2 = vld1q_f64(sum + c + 4), sum3 = vld1q_f64(sum + c + 6);
    for (size_t r = 0; r < rows; ++r) {
      const float32x4_t v0 = vld1q_f32(x + r * channels + c);
      const float32x4_t v1 = vld1q_f32(x + r * channels + c + 4);
      least0 = lesser(v0, least0);
      least1 = lesser(v1, least1);
      most0 = greater(v0, most0);
      most1 = greater(v1, most1);
      sum0 = vaddq_f64(sum0, vcvt_f64_f32(vget_low_f32(v0)));
      sum1 = vaddq_f64(sum1, vcvt_high_f64_f32(v0));
      sum2 = vaddq_f64(sum2, vcvt_f64_f32(vget_low_f32(v1)));
      sum3 = vaddq_f64(sum3, vcvt_high_f64_f32(v1));
    }
    vst1q_f32(min + c, least0);
    vst1q_f32(min + c + 4, least1);
    vst1q_f32(max + c, most0);
    vst1q_f32(max + c + 4, most1);
    vst1q_f64(sum + c, sum0);
    vst1q_f64(sum + c + 2, sum1);
    vst1q_f64(sum + c + 4, sum2);
    vst1q_f64(sum + c + 6, sum3);
  }
  for (; c < channels; ++c) {
    for (size_t r = 0; r < rows; ++r) {
      const float v = x[r * channels + c];
      min[c] = v < min[c] ? v : min[c];
      max[c] = v > max[c] ? v : max[c];
      sum[c] += v;
    }
  }
}

size_t upper_halves_f32_u16_neon(const float* x, size_t n, uint16_t* halves) {
  constexpr uint16_t kBits[4] = {1, 2, 4, 8};
  const uint16x4_t bits = vld1_u16(kBits);
  size_t count = 0, i = 0;
  for (; i + 4 <= n; i += 4) {
    const uint16x4_t upper = vshrn_n_u32(vreinterpretq_u32_f32(vld1q_f32(x + i)), 16);
    const uint32_t lanes = vaddv_u16(vand_u16(vtst_u16(upper, upper), bits));
    // A whole store, whose rest the next one overwrites.
    vst1_u16(halves + count,
             vreinterpret_u16_u8(vtbl1_u8(vreinterpret_u8_u16(upper), vld1_u8(kKept[lanes]))));
    count += static_cast<size_t>(__builtin_popcount(lanes));
  }
  for (; i < n; ++i) {
    uint32_t word;
    std::memcpy(&word, x + i, sizeof word);
    halves[count] = static_cast<uint16_t>(word >> 16);
    count += word >> 16 != 0;
  }
  return count;
}

}  // namespace int8x
