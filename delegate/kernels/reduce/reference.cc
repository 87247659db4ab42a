#include "delegate/kernels/reduce/leaf.h"

namespace int8x {

void mean_s8_s8_reference_add_rows(const int8_t* input, int64_t rows, int64_t row_stride,
                                   int64_t count, int32_t* sums) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < count; ++c) sums[c] = wrapping_add(sums[c], input[r * row_stride + c]);
  }
}

int32_t mean_s8_s8_reference_sum(const int8_t* input, int64_t count) {
  int32_t sum = 0;
  for (int64_t i = 0; i < count; ++i) sum = wrapping_add(sum, input[i]);
  return sum;
}

void mean_s8_s8_reference_finish(const MeanParams& p, const int32_t* sums, int64_t count,
                                 int8_t* output) {
  for (int64_t i = 0; i < count; ++i) {
    const int32_t centred = wrapping_add(sums[i], p.offset);
    const int32_t y =
        wrapping_add(multiply_by_quantized_multiplier(centred, p.multiplier), p.output_zero_point);
    output[i] = static_cast<int8_t>(clamp(y, -128, 127));
  }
}

}  // namespace int8x
