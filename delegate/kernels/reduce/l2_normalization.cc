#include "delegate/kernels/reduce/l2_normalization.h"

#include "delegate/fixed_point/inverse_square_root.h"

namespace int8x {

bool make_l2_normalization_params(int32_t input_zero_point, int64_t rows, int64_t depth,
                                  L2NormalizationParams* out) {
  constexpr int64_t kMaxDepth = INT32_MAX / (255 * 255);
  if (rows <= 0 || depth <= 0 || depth > kMaxDepth) return false;
  if (input_zero_point < -128 || input_zero_point > 127) return false;
  *out = {input_zero_point, rows, depth};
  return true;
}

void l2_normalization_run(const L2NormalizationParams& p, const int8_t* input, int8_t* output,
                          int64_t tile_begin, int64_t tile_end, void*) {
  for (int64_t row = tile_begin; row < tile_end; ++row) {
    const int8_t* from = input + row * p.depth;
    int8_t* to = output + row * p.depth;
    int32_t squares = 0;
    for (int64_t i = 0; i < p.depth; ++i) {
      const int32_t x = from[i] - p.input_zero_point;
      squares += x * x;
    }
    Multiplier inverse = inverse_square_root(squares);
    inverse.shift += 7;
    for (int64_t i = 0; i < p.depth; ++i) {
      const int32_t x = from[i] - p.input_zero_point;
      to[i] = static_cast<int8_t>(clamp(multiply_by_quantized_multiplier(x, inverse), -128, 127));
    }
  }
}

}  // namespace int8x
