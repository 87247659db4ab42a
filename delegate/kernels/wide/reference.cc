#include "delegate/kernels/wide/dot.h"
#include "delegate/kernels/wide/pointwise.h"

namespace int8x {

void dot_s16_s16_s64_reference(const WideDot& d) {
  for (int i = 0; i < d.m; ++i) {
    for (int j = 0; j < d.n; ++j) {
      const int16_t* a = d.lhs + int64_t{i} * d.k;
      const int16_t* b = d.rhs + int64_t{j} * d.k;
      int64_t sum = 0;
      for (int k = 0; k < d.k; ++k) sum += a[k] * b[k];
      d.sums[int64_t{i} * d.n + j] = sum;
    }
  }
}

void add_s16_s16_s16_reference(const WideBinaryParams& p, const int16_t* lhs, int64_t lhs_step,
                               const int16_t* rhs, int64_t rhs_step, int16_t* output,
                               int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const int32_t x = multiply_by_quantized_multiplier(lhs[i * lhs_step] * (1 << 15), p.lhs);
    const int32_t z = multiply_by_quantized_multiplier(rhs[i * rhs_step] * (1 << 15), p.rhs);
    const int32_t y = multiply_by_quantized_multiplier(x + z, p.output);
    output[i] = static_cast<int16_t>(clamp(y, p.activation_min, p.activation_max));
  }
}

void mul_s16_s16_s16_reference(const WideBinaryParams& p, const int16_t* lhs, int64_t lhs_step,
                               const int16_t* rhs, int64_t rhs_step, int16_t* output,
                               int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const int32_t product = lhs[i * lhs_step] * rhs[i * rhs_step];
    const int32_t y = multiply_by_quantized_multiplier(product, p.output);
    output[i] = static_cast<int16_t>(clamp(y, p.activation_min, p.activation_max));
  }
}

}  // namespace int8x
