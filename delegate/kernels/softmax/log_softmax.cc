#include "delegate/kernels/softmax/log_softmax.h"

#include <cmath>

#include "delegate/kernels/softmax/exponential.h"
#include "delegate/kernels/softmax/logarithm.h"

namespace int8x {

bool make_log_softmax_params(float input_scale, int64_t rows, int64_t depth,
                             LogSoftmaxParams* out) {
  constexpr int64_t kMaxDepth = (1 << 12) - 1;  // a term is at most 2^19
  if (rows <= 0 || depth <= 0 || depth > kMaxDepth || !std::isfinite(input_scale)) return false;
  double real = static_cast<double>(input_scale) * (1 << 26);
  if (!(real > 1.0)) return false;
  if (real > 2147483647.0) real = 2147483647.0;
  const Multiplier multiplier = quantize_multiplier(real);
  const double radius =
      std::floor(31.0 * (1 << 26) / static_cast<double>(int64_t{1} << multiplier.shift));
  out->reverse = quantize_multiplier(static_cast<double>(int64_t{1} << (31 - multiplier.shift)) /
                                     static_cast<double>(multiplier.multiplier));
  out->terms = radius >= 255 ? 256 : static_cast<int32_t>(radius) + 1;
  for (int32_t d = 0; d < 256; ++d) {
    out->scaled[d] = multiply_by_quantized_multiplier(-d, multiplier);
    out->term[d] =
        d < out->terms ? rounding_divide_by_pot(exp_on_negative_values(out->scaled[d]), 12) : 0;
  }
  out->rows = rows;
  out->depth = depth;
  return true;
}

void log_softmax_run(const LogSoftmaxParams& p, const int8_t* input, int8_t* output,
                     int64_t tile_begin, int64_t tile_end, void*) {
  for (int64_t row = tile_begin; row < tile_end; ++row) {
    const int8_t* from = input + row * p.depth;
    int8_t* to = output + row * p.depth;
    int8_t max = INT8_MIN;
    for (int64_t i = 0; i < p.depth; ++i) {
      if (from[i] > max) max = from[i];
    }
    int32_t sum = 0;
    for (int64_t i = 0; i < p.depth; ++i) sum += p.term[max - from[i]];
    const int32_t log_sum = log_of_at_least_one(sum);
    // Below this the output would leave int8.
    const int32_t lowest =
        multiply_by_quantized_multiplier(wrapping_add(log_sum, INT32_MIN), p.reverse);
    const int32_t bound = lowest > -p.terms ? lowest : -p.terms;
    const auto answer = [&](int32_t d) {
      if (d <= bound) return int8_t{-128};
      const int32_t y = rounding_divide_by_pot(wrapping_add(p.scaled[-d], -log_sum), 22) + 127;
      return static_cast<int8_t>(clamp(y, -128, 127));
    };
    constexpr int64_t kTableFrom = 512;
    if (p.depth < kTableFrom) {
      for (int64_t i = 0; i < p.depth; ++i) to[i] = answer(from[i] - max);
      continue;
    }
    int8_t table[256];
    for (int32_t d = 0; d < 256; ++d) table[d] = answer(-d);
    for (int64_t i = 0; i < p.depth; ++i) to[i] = table[max - from[i]];
  }
}

}  // namespace int8x
