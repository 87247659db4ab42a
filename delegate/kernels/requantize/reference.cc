#include <cmath>

#include "delegate/kernels/requantize/requantize.h"

namespace int8x {

int32_t round_to_int32(double x) {
  const double rounded = std::round(x);
#if defined(__aarch64__)
  if (rounded != rounded) return 0;
  if (rounded > 2147483647.0) return INT32_MAX;
  if (rounded < -2147483648.0) return INT32_MIN;
#else
  if (!(rounded >= -2147483648.0 && rounded <= 2147483647.0)) return INT32_MIN;
#endif
  return static_cast<int32_t>(rounded);
}

void requantize_s32_s8_1x1_reference(const RequantizeBlock& b) {
  for (int i = 0; i < b.m; ++i) {
    for (int j = 0; j < b.n; ++j) {
      const int32_t sum = wrapping_add(b.c[i * b.c_stride + j], b.bias[j]);
      const int32_t scaled = multiply_by_quantized_multiplier(sum, b.multipliers[j]);
      const int32_t value = clamp(wrapping_add(scaled, b.zero_point), b.min, b.max);
      b.out[i * b.out_stride + j] = static_cast<int8_t>(value);
    }
  }
}

void requantize_s32_s8_double_1x1_reference(const RequantizeBlock& b) {
  for (int i = 0; i < b.m; ++i) {
    for (int j = 0; j < b.n; ++j) {
      const int32_t sum = wrapping_add(b.c[i * b.c_stride + j], b.bias[j]);
      const int32_t scaled = round_to_int32(static_cast<double>(sum) * b.scales[j]);
      const int32_t value = clamp(wrapping_add(scaled, b.zero_point), b.min, b.max);
      b.out[i * b.out_stride + j] = static_cast<int8_t>(value);
    }
  }
}

}  // namespace int8x
