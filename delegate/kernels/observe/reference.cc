#include <cstring>

#include "delegate/kernels/observe/leaf.h"

namespace int8x {

void summarize_f32_reference(const float* x, size_t rows, size_t channels, float* min, float* max,
                             double* sum) {
  for (size_t r = 0; r < rows; ++r) {
    const float* row = x + r * channels;
    for (size_t c = 0; c < channels; ++c) {
      min[c] = row[c] < min[c] ? row[c] : min[c];
      max[c] = row[c] > max[c] ? row[c] : max[c];
      sum[c] += row[c];
    }
  }
}

size_t upper_halves_f32_u16_reference(const float* x, size_t n, uint16_t* halves) {
  size_t count = 0;
  for (size_t i = 0; i < n; ++i) {
    uint32_t bits;
    std::memcpy(&bits, x + i, sizeof bits);
    // No branch: which activations are zero is what a predictor guesses worst.
    halves[count] = static_cast<uint16_t>(bits >> 16);
    count += bits >> 16 != 0;
  }
  return count;
}

}  // namespace int8x
