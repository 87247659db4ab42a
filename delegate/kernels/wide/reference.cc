#include "delegate/kernels/wide/dot.h"
#include "delegate/kernels/wide/pointwise.h"
#include "delegate/kernels/wide/softmax.h"

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

namespace {

// f(the taps of channel c's window) for each channel.
template <typename Function>
void each_channel(const WidePoolWindow& w, Function reduce) {
  for (int32_t c = 0; c < w.channels; ++c) {
    int32_t sum = 0, most = INT16_MIN;
    for (int32_t y = 0; y < w.rows; ++y) {
      const int16_t* from = w.input + y * w.row_stride + c;
      for (int32_t x = 0; x < w.columns; ++x, from += w.channels) {
        sum += *from;
        if (*from > most) most = *from;
      }
    }
    w.output[c] = static_cast<int16_t>(clamp(reduce(sum, most), w.min, w.max));
  }
}

int16_t sigmoid(const WideSigmoidParams& p, int32_t q) {
  const int64_t nudge = p.shift > 0 ? int64_t{1} << (p.shift - 1) : 0;
  const int64_t x = (int64_t{q} * p.multiplier + nudge) >> p.shift;
  const int64_t magnitude = x < 0 ? -x : x;
  const int bits = p.tanh ? 8 : 9;  // of the fraction
  const int64_t index = magnitude >> bits;
  const uint32_t entry = p.table[index < 255 ? index : 255];
  const int64_t fraction = magnitude & ((1 << bits) - 1);
  const int64_t r = (int64_t{entry >> 16} << bits) + fraction * (entry & 0xffff);
  if (p.tanh) {
    constexpr int64_t kHalf = 1 << 23;  // of Q0.24: tanh is twice the sigmoid less one
    return static_cast<int16_t>((x >= 0 ? r - kHalf + 128 : -r + kHalf + 127) >> 8);
  }
  return static_cast<int16_t>((x >= 0 ? r + 512 : (int64_t{1} << 25) - r + 511) >> 10);
}

}  // namespace

void average_pool_s16_s16_reference(const WidePoolWindow& w) {
  const int32_t count = w.rows * w.columns, half = count / 2;
  each_channel(w,
               [&](int32_t sum, int32_t) { return (sum > 0 ? sum + half : sum - half) / count; });
}

void max_pool_s16_s16_reference(const WidePoolWindow& w) {
  each_channel(w, [](int32_t, int32_t most) { return most; });
}

void sigmoid_s16_s16_reference(const WideSigmoidParams& p, const int16_t* input, int16_t* output,
                               int64_t count) {
  for (int64_t i = 0; i < count; ++i) output[i] = sigmoid(p, input[i]);
}

void softmax_s16_s16_reference(const WideSoftmaxParams& p, const int16_t* input, int16_t* output) {
  int16_t max = INT16_MIN;
  for (int64_t i = 0; i < p.depth; ++i) {
    if (input[i] > max) max = input[i];
  }
  int32_t sum = 0;
  for (int64_t i = 0; i < p.depth; ++i) {
    const int32_t scaled = multiply_by_quantized_multiplier(input[i] - max, p.multiplier);
    const int32_t x = clamp(wrapping_add(scaled, 32767), INT16_MIN, INT16_MAX);
    output[i] = static_cast<int16_t>(wide_table_at(p.exponential, x));
    sum += output[i];
  }
  const WideShare share = wide_share_of(p, sum);
  for (int64_t i = 0; i < p.depth; ++i) {
    const int32_t y = (output[i] * share.factor + share.half) >> share.right;
    output[i] = static_cast<int16_t>(clamp(y, 0, INT16_MAX));
  }
}

}  // namespace int8x
