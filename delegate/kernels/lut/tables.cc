#include <cmath>

#include "delegate/fixed_point/requantize.h"
#include "delegate/kernels/lut/lut.h"

namespace int8x {
namespace {

constexpr float kNoBound = -1.0f;

bool usable(const LutQuantization& q) {
  return std::isfinite(q.input_scale) && q.input_scale > 0 && std::isfinite(q.output_scale) &&
         q.output_scale > 0;
}

// round_half_away(float32(bound / scale)) + zero_point; false when it leaves int32, where the
// reference refuses.
bool quantized_bound(float bound, const LutQuantization& q, int32_t* out) {
  const float steps = std::round(bound / q.output_scale);
  if (!(steps > -2147483648.0f && steps < 2147483648.0f)) return false;
  *out = wrapping_add(static_cast<int32_t>(steps), q.output_zero_point);
  return true;
}

// lo <= output; output <= hi unless hi is kNoBound.
bool make_rectifier(const LutQuantization& q, float lo, float hi, uint8_t* table) {
  if (!usable(q)) return false;
  const float scale = q.input_scale / q.output_scale;
  if (!std::isfinite(scale)) return false;
  const Multiplier multiplier = quantize_multiplier(scale);
  int32_t min, max = 127;
  if (multiplier.shift > 30 || !quantized_bound(lo, q, &min)) return false;
  if (hi != kNoBound && !quantized_bound(hi, q, &max)) return false;
  if (min < -128) min = -128;
  if (max > 127) max = 127;
  for (int32_t x = -128; x <= 127; ++x) {
    const int32_t y = wrapping_add(
        multiply_by_quantized_multiplier(x - q.input_zero_point, multiplier), q.output_zero_point);
    const int32_t raised = y < min ? min : y;
    table[x & 255] = static_cast<uint8_t>(raised > max ? max : raised);
  }
  return true;
}

}  // namespace

bool make_relu_lut(const LutQuantization& q, uint8_t* table) {
  return make_rectifier(q, 0.0f, kNoBound, table);
}

bool make_relu6_lut(const LutQuantization& q, uint8_t* table) {
  return make_rectifier(q, 0.0f, 6.0f, table);
}

bool make_relu_n1_to_1_lut(const LutQuantization& q, uint8_t* table) {
  return make_rectifier(q, -1.0f, 1.0f, table);
}

bool make_requantize_lut(const LutQuantization& q, LutType input, LutType output, uint8_t* table) {
  if (!usable(q)) return false;
  const Multiplier multiplier =
      quantize_multiplier(static_cast<double>(q.input_scale) / static_cast<double>(q.output_scale));
  if (multiplier.shift > 30) return false;
  const int32_t first = input == LutType::s8 ? -128 : 0;
  const int32_t min = output == LutType::s8 ? -128 : 0;
  for (int32_t x = first; x < first + kLutSize; ++x) {
    const int32_t y = wrapping_add(
        multiply_by_quantized_multiplier(x - q.input_zero_point, multiplier), q.output_zero_point);
    table[x & 255] = static_cast<uint8_t>(clamp(y, min, min + 255));
  }
  return true;
}

}  // namespace int8x
