#include "delegate/fixed_point/requantize.h"
#include "delegate/kernels/pool/leaf.h"

namespace int8x {

void average_pool_s8_s8_reference(const PoolParams& params, const PoolWindow& window,
                                  int8_t* output) {
  const int32_t channels = params.geometry.channels;
  const int32_t taps = window.rows * window.columns;
  for (int32_t c = 0; c < channels; ++c) {
    int32_t sum = 0;
    for (int32_t y = 0; y < window.rows; ++y) {
      for (int32_t x = 0; x < window.columns; ++x) {
        sum += window.input[y * window.row_stride + int64_t{x} * channels + c];
      }
    }
    const int32_t mean = (sum > 0 ? sum + taps / 2 : sum - taps / 2) / taps;
    output[c] = static_cast<int8_t>(clamp(mean, params.activation_min, params.activation_max));
  }
}

void max_pool_s8_s8_reference(const PoolParams& params, const PoolWindow& window, int8_t* output) {
  const int32_t channels = params.geometry.channels;
  for (int32_t c = 0; c < channels; ++c) {
    int8_t max = INT8_MIN;
    for (int32_t y = 0; y < window.rows; ++y) {
      for (int32_t x = 0; x < window.columns; ++x) {
        const int8_t tap = window.input[y * window.row_stride + int64_t{x} * channels + c];
        if (tap > max) max = tap;
      }
    }
    output[c] = static_cast<int8_t>(clamp(max, params.activation_min, params.activation_max));
  }
}

}  // namespace int8x
