#include <cmath>

#include "delegate/fixed_point/inverse_square_root.h"
#include "delegate/fixed_point/requantize.h"
#include "delegate/kernels/lut/lut.h"

// Tables of functions that the reference computes in integers, beside the rectifiers.

namespace int8x {
namespace {

bool usable(const LutQuantization& q) {
  return std::isfinite(q.input_scale) && q.input_scale > 0 && std::isfinite(q.output_scale) &&
         q.output_scale > 0;
}

bool fits(float scale, Multiplier* out) {
  if (!std::isfinite(scale)) return false;
  *out = quantize_multiplier(scale);
  return out->shift <= 30;
}

uint8_t byte(int32_t y, const LutQuantization& q) {
  return static_cast<uint8_t>(clamp(wrapping_add(y, q.output_zero_point), -128, 127));
}

// The primitives of requantize.h in 16 bits, for HARD_SWISH.
int32_t wrap16(int32_t x) { return static_cast<int16_t>(static_cast<uint16_t>(x)); }
int32_t saturate16(int64_t x) {
  return static_cast<int32_t>(x < INT16_MIN ? INT16_MIN : x > INT16_MAX ? INT16_MAX : x);
}
int32_t rounding_doubling_high_mul16(int32_t a, int32_t b) {
  return (a * b + (1 << 14)) >> 15;  // b is no INT16_MIN: nothing to saturate
}
int32_t high_half(int32_t multiplier) {
  return multiplier >= INT32_MAX - (1 << 15) ? INT16_MAX : (multiplier + (1 << 15)) >> 16;
}

}  // namespace

bool make_leaky_relu_lut(const LutQuantization& q, float alpha, uint8_t* table) {
  if (!usable(q) || !std::isfinite(alpha)) return false;
  const float negative_scale = q.input_scale * alpha / q.output_scale;
  Multiplier positive, negative;
  if (!fits(q.input_scale / q.output_scale, &positive) ||
      !fits(std::fabs(negative_scale), &negative)) {
    return false;
  }
  for (int32_t value = -128; value <= 127; ++value) {
    const int32_t x = value - q.input_zero_point;
    int32_t y = multiply_by_quantized_multiplier(x, x >= 0 ? positive : negative);
    if (x < 0 && negative_scale < 0) y = wrapping_add(0, -y);
    table[value & 255] = byte(y, q);
  }
  return true;
}

bool make_abs_lut(const LutQuantization& q, uint8_t* table) {
  Multiplier multiplier;
  if (!usable(q) || !fits(q.input_scale / q.output_scale, &multiplier)) return false;
  for (int32_t value = -128; value <= 127; ++value) {
    const int32_t x = std::abs(value - q.input_zero_point);
    const bool same = q.input_scale == q.output_scale;
    table[value & 255] = byte(same ? x : multiply_by_quantized_multiplier(x, multiplier), q);
  }
  return true;
}

bool make_hard_swish_lut(const LutQuantization& q, uint8_t* table) {
  if (!usable(q)) return false;
  const float fine_scale = (1.0f / 128.0f) * q.input_scale;
  Multiplier output, relu;
  if (!fits(fine_scale / q.output_scale, &output) || !fits(fine_scale / (3.0f / 32768.0f), &relu) ||
      output.shift > 0 || output.shift < -15 || relu.shift < -15) {
    return false;
  }
  const int32_t output_half = high_half(output.multiplier), relu_half = high_half(relu.multiplier);
  for (int32_t value = -128; value <= 127; ++value) {
    const int32_t x = wrap16((value - q.input_zero_point) * 128);
    const int32_t scaled = rounding_doubling_high_mul16(x, output_half);
    // clamp(x / 3, -1, 1), then (1 + that) / 2, Q0.15
    int32_t r = x;
    if (relu.shift > 0) r = saturate16(int64_t{r} * (int64_t{1} << (relu.shift - 1)));
    r = rounding_doubling_high_mul16(r, relu_half);
    if (relu.shift > 0) r = saturate16(int64_t{r} * 2);
    if (relu.shift < 0) r = rounding_divide_by_pot(r, -relu.shift);
    r = wrap16((r + (1 << 15)) >> 1);
    const int32_t product = wrap16(r * scaled / (1 << 15));  // truncates
    table[value & 255] = byte(rounding_divide_by_pot(product, -output.shift), q);
  }
  return true;
}

bool make_rsqrt_lut(const LutQuantization& q, uint8_t* table) {
  if (!usable(q) || q.input_zero_point != -128) return false;
  constexpr int kShift = 20;
  const float root = std::sqrt(q.input_scale) * q.output_scale;
  const double scale = 1.0 / static_cast<double>(root);
  if (!std::isfinite(scale)) return false;
  Multiplier output = quantize_multiplier(scale);
  output.shift -= kShift;
  if (output.shift > 30 || output.shift < -31) return false;
  table[128] = 127;  // of 1 / 0
  for (int32_t x = 1; x < kLutSize; ++x) {
    Multiplier inverse = inverse_square_root(x);
    inverse.shift += kShift;
    const int32_t fine = multiply_by_quantized_multiplier(1, inverse);
    table[(x - 128) & 255] = byte(multiply_by_quantized_multiplier(fine, output), q);
  }
  return true;
}

}  // namespace int8x
