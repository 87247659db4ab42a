#include <arm_neon.h>

#include "delegate/fixed_point/vector_neon.h"
#include "delegate/kernels/requantize/requantize.h"

namespace int8x {
namespace {

void store(int8_t* out, int8x16_t bytes, int count) {
  if (count >= 16) {
    vst1q_s8(out, bytes);
  } else {
    int8_t all[16];
    vst1q_s8(all, bytes);
    __builtin_memcpy(out, all, static_cast<unsigned>(count));
  }
}

int8x16_t clamped(int8x16_t bytes, const RequantizeBlock& b) {
  const int8x16_t min = vdupq_n_s8(static_cast<int8_t>(b.min));
  const int8x16_t max = vdupq_n_s8(static_cast<int8_t>(b.max));
  return vminq_s8(vmaxq_s8(bytes, min), max);
}

template <Rounds rounds>
int32x4_t scaled(int32x4_t sum, const neon::Rounding& rounding) {
  if (rounds == Rounds::half_up) return neon::multiply_half_up(sum, rounding);
  if (rounds == Rounds::narrow) return neon::multiply_narrow(sum, rounding);
  return neon::multiply_by_quantized_multiplier(sum, rounding);
}

// 16 columns from j on, of which `count` are written.
template <Rounds rounds>
void sixteen_columns(const RequantizeBlock& b, int j, int count) {
  neon::Rounding rounding[4];
  int32x4_t bias[4];
  for (int v = 0; v < 4; ++v) {
    rounding[v] = neon::rounding(b.multipliers + j + 4 * v);
    bias[v] = vld1q_s32(b.bias + j + 4 * v);
  }
  const int32x4_t zero_point = vdupq_n_s32(b.zero_point);
  for (int i = 0; i < b.m; ++i) {
    const int32_t* c = b.c + i * b.c_stride + j;
    int32x4_t y[4];
    for (int v = 0; v < 4; ++v) {
      const int32x4_t sum = vaddq_s32(vld1q_s32(c + 4 * v), bias[v]);
      y[v] = vaddq_s32(scaled<rounds>(sum, rounding[v]), zero_point);
    }
    const int8x16_t bytes = neon::pack_s8(y[0], y[1], y[2], y[3]);
    store(b.out + i * b.out_stride + j, clamped(bytes, b), count);
  }
}

int32x2_t scaled_half(int32x2_t sum, float64x2_t scale) {
  const float64x2_t x = vmulq_f64(vcvtq_f64_s64(vmovl_s32(sum)), scale);
  return vqmovn_s64(vcvtaq_s64_f64(x));  // fcvtas rounds half away from zero
}

int32x4_t scaled_double(int32x4_t sum, const double* scales) {
  return vcombine_s32(scaled_half(vget_low_s32(sum), vld1q_f64(scales)),
                      scaled_half(vget_high_s32(sum), vld1q_f64(scales + 2)));
}

}  // namespace

void requantize_s32_s8_1x16_neon(const RequantizeBlock& b) {
  for (int j = 0; j < b.n; j += 16) {
    switch (rounds_of(b.narrow, b.zero_point, b.min)) {
      case Rounds::anyhow:
        sixteen_columns<Rounds::anyhow>(b, j, b.n - j);
        break;
      case Rounds::narrow:
        sixteen_columns<Rounds::narrow>(b, j, b.n - j);
        break;
      case Rounds::half_up:
        sixteen_columns<Rounds::half_up>(b, j, b.n - j);
        break;
    }
  }
}

void requantize_s32_s8_double_1x16_neon(const RequantizeBlock& b) {
  const int32x4_t zero_point = vdupq_n_s32(b.zero_point);
  for (int j = 0; j < b.n; j += 16) {
    for (int i = 0; i < b.m; ++i) {
      int32x4_t y[4];
      for (int v = 0; v < 4; ++v) {
        const int at = j + 4 * v;
        const int32x4_t sum =
            vaddq_s32(vld1q_s32(b.c + i * b.c_stride + at), vld1q_s32(b.bias + at));
        y[v] = vaddq_s32(scaled_double(sum, b.scales + at), zero_point);
      }
      const int8x16_t bytes = neon::pack_s8(y[0], y[1], y[2], y[3]);
      store(b.out + i * b.out_stride + j, clamped(bytes, b), b.n - j);
    }
  }
}

}  // namespace int8x
