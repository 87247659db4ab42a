#include "delegate/kernels/elementwise/leaf.h"

namespace int8x {

void add_s8_s8_s8_reference(const AddParams& p, const int8_t* lhs, int64_t lhs_step,
                            const int8_t* rhs, int64_t rhs_step, int8_t* output, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const int32_t a = (lhs[i * lhs_step] - p.lhs_zero_point) * (1 << 20);
    const int32_t b = (rhs[i * rhs_step] - p.rhs_zero_point) * (1 << 20);
    const int32_t sum =
        multiply_by_quantized_multiplier(a, p.lhs) + multiply_by_quantized_multiplier(b, p.rhs);
    const int32_t y = multiply_by_quantized_multiplier(sum, p.output) + p.output_zero_point;
    output[i] = static_cast<int8_t>(clamp(y, p.activation_min, p.activation_max));
  }
}

void mul_s8_s8_s8_reference(const MulParams& p, const int8_t* lhs, int64_t lhs_step,
                            const int8_t* rhs, int64_t rhs_step, int8_t* output, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const int32_t product =
        (lhs[i * lhs_step] - p.lhs_zero_point) * (rhs[i * rhs_step] - p.rhs_zero_point);
    const int32_t y =
        wrapping_add(multiply_by_quantized_multiplier(product, p.output), p.output_zero_point);
    output[i] = static_cast<int8_t>(clamp(y, p.activation_min, p.activation_max));
  }
}

}  // namespace int8x
