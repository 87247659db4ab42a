#include <cmath>

#include "delegate/kernels/lut/lut.h"

// Tables of functions that the reference computes in float32. The expressions and the libm
// functions are its own: another order or a wider type changes a last bit.

namespace int8x {
namespace {

float logistic(float v) { return 1.0f / (1.0f + std::exp(-v)); }
float tanh(float v) { return std::tanh(v); }
float elu(float v) { return v < 0.0f ? std::expm1(v) : v; }
float exponential(float v) { return std::exp(v); }
// What is not above zero becomes the least the output has.
float logarithm(float v) { return v > 0.0f ? std::log(v) : -HUGE_VALF; }
float gelu(float v) {
  return 0.5f * v * std::erfc(v * static_cast<float>(-0.70710678118654752440));  // -sqrt(1/2)
}
float gelu_by_tanh(float v) {
  const float sqrt_of_two_over_pi = static_cast<float>(1.12837916709551257390 *  // 2/sqrt(pi)
                                                       0.70710678118654752440);
  return 0.5f * v * (1.0f + std::tanh(sqrt_of_two_over_pi * (v + 0.044715f * v * v * v)));
}

bool usable(float scale) { return std::isfinite(scale) && scale > 0; }

// round_half_away(f(v) * float32(1 / output_scale)) + output_zero_point, clamped. False where a
// value is not a number.
bool tabulate(const LutQuantization& q, float (*f)(float), uint8_t* table) {
  if (!usable(q.input_scale) || !usable(q.output_scale)) return false;
  const float inverse = 1.0f / q.output_scale;
  for (int32_t x = -128; x <= 127; ++x) {
    const float value = q.input_scale * static_cast<float>(x - q.input_zero_point);
    const float y = std::round(f(value) * inverse) + static_cast<float>(q.output_zero_point);
    if (std::isnan(y)) return false;
    table[x & 255] = static_cast<uint8_t>(static_cast<int32_t>(y < -128.0f  ? -128.0f
                                                               : y > 127.0f ? 127.0f
                                                                            : y));
  }
  return true;
}

}  // namespace

bool make_logistic_lut(const LutQuantization& q, uint8_t* table) {
  return q.output_scale == 1.0f / 256 && tabulate(q, logistic, table);
}

bool make_tanh_lut(const LutQuantization& q, uint8_t* table) { return tabulate(q, tanh, table); }

bool make_elu_lut(const LutQuantization& q, uint8_t* table) { return tabulate(q, elu, table); }

bool make_exp_lut(const LutQuantization& q, uint8_t* table) {
  return tabulate(q, exponential, table);
}

bool make_log_lut(const LutQuantization& q, uint8_t* table) {
  return tabulate(q, logarithm, table);
}

bool make_gelu_lut(const LutQuantization& q, bool approximate, uint8_t* table) {
  return tabulate(q, approximate ? gelu_by_tanh : gelu, table);
}

}  // namespace int8x
