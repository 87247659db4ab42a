#include "delegate/kernels/elementwise/leaf.h"

namespace int8x {

void add_s8_s8_s8_reference(const AddParams& p, const int8_t* lhs, int64_t lhs_step,
                            const int8_t* rhs, int64_t rhs_step, int8_t* output, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const int32_t a = (lhs[i * lhs_step] - p.lhs_zero_point) * (1 << 20);
    const int32_t b = (rhs[i * rhs_step] - p.rhs_zero_point) * (1 << 20);
    const int32_t x = multiply_by_quantized_multiplier(a, p.lhs);
    const int32_t z = multiply_by_quantized_multiplier(b, p.rhs);
    const int32_t sum = p.subtract ? x - z : x + z;
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

void maximum_s8_s8_s8_reference(const BinaryParams&, const int8_t* lhs, int64_t lhs_step,
                                const int8_t* rhs, int64_t rhs_step, int8_t* output,
                                int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const int8_t a = lhs[i * lhs_step], b = rhs[i * rhs_step];
    output[i] = a > b ? a : b;
  }
}

void minimum_s8_s8_s8_reference(const BinaryParams&, const int8_t* lhs, int64_t lhs_step,
                                const int8_t* rhs, int64_t rhs_step, int8_t* output,
                                int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const int8_t a = lhs[i * lhs_step], b = rhs[i * rhs_step];
    output[i] = a < b ? a : b;
  }
}

void squared_difference_s8_s8_s8_reference(const BinaryParams& p, const int8_t* lhs,
                                           int64_t lhs_step, const int8_t* rhs, int64_t rhs_step,
                                           int8_t* output, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const int32_t a = (lhs[i * lhs_step] - p.lhs_zero_point) * (1 << 7);
    const int32_t b = (rhs[i * rhs_step] - p.rhs_zero_point) * (1 << 7);
    const int32_t difference =
        multiply_by_quantized_multiplier(a, p.lhs) - multiply_by_quantized_multiplier(b, p.rhs);
    const int32_t y =
        multiply_by_quantized_multiplier(difference * difference, p.output) + p.output_zero_point;
    output[i] = static_cast<int8_t>(clamp(y, -128, 127));
  }
}

void prelu_s8_s8_s8_reference(const BinaryParams& p, const int8_t* lhs, int64_t lhs_step,
                              const int8_t* rhs, int64_t rhs_step, int8_t* output, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const int32_t x = lhs[i * lhs_step] - p.lhs_zero_point;
    const int32_t slope = rhs[i * rhs_step] - p.rhs_zero_point;
    const int32_t scaled = x >= 0 ? multiply_by_quantized_multiplier(x, p.lhs)
                                  : multiply_by_quantized_multiplier(x * slope, p.rhs);
    output[i] = static_cast<int8_t>(clamp(wrapping_add(scaled, p.output_zero_point), -128, 127));
  }
}

}  // namespace int8x
