#include <cmath>

#include "delegate/fixed_point/requantize.h"
#include "delegate/kernels/convert/leaf.h"

namespace int8x {
namespace {

// The conversion of x86: NaN and what no int32 holds become INT32_MIN.
int32_t to_int32(float x) {
  return x >= -2147483648.0f && x < 2147483648.0f ? static_cast<int32_t>(x) : INT32_MIN;
}

}  // namespace

void quantize_f32_s8_reference(const QuantizeParams& p, const float* input, int8_t* output,
                               int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const int32_t steps = to_int32(std::round(input[i] / p.scale));
    output[i] = static_cast<int8_t>(clamp(wrapping_add(steps, p.zero_point), -128, 127));
  }
}

void dequantize_s8_f32_reference(const DequantizeParams& p, const int8_t* input, float* output,
                                 int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    output[i] = p.scale * static_cast<float>(input[i] - p.zero_point);
  }
}

}  // namespace int8x
