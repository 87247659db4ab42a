// What calibration keeps of one activation: a histogram that merges exactly, and per-channel
// extremes and sums. Everything is a function of the multiset of samples: order and grouping change
// no bit.

#ifndef INT8X_QUANTIZATION_HISTOGRAM_H_
#define INT8X_QUANTIZATION_HISTOGRAM_H_

#include <cstddef>
#include <cstdint>

namespace int8x {

// Bin b of a histogram with exponent e counts the x with floor(x / 2^e) == b - kHistogramZero.
constexpr int kHistogramBins = 4096;
constexpr int kHistogramZero = 2048;
// e never falls below kHistogramMinExponent (denormals share two bins) nor, for a float, above 117.
constexpr int kHistogramMinExponent = -126;

// The smallest allowed e for which both floor(lo / 2^e) and floor(hi / 2^e) are bins. lo <= hi,
// finite.
int histogram_exponent(float lo, float hi);

// Moves counts to a coarser exponent: the index of a count is halved, rounding down, `steps` times.
void widen_histogram(int64_t* bins, int steps);

struct TensorSummary {
  float min, max;     // over all elements; +inf, -inf when there are none
  int exponent;       // the histogram's exponent after the call
  size_t non_finite;  // NaN and infinities seen; when not 0 nothing else is valid
};

// Adds the rows x channels elements of x (row-major) to the histogram `bins` of exponent
// `exponent`, widening it when the values need it, and summarises each channel over this call's
// rows alone: channel_min, channel_max [channels], and channel_sum [channels], summed in double
// from row 0 on. `scratch` has kHistogramScratch elements, all zero on entry and on return.
constexpr size_t kHistogramScratch = 4 * kHistogramBins;
TensorSummary add_to_histogram(const float* x, size_t rows, size_t channels, int exponent,
                               int64_t* bins, float* channel_min, float* channel_max,
                               double* channel_sum, uint32_t* scratch);

}  // namespace int8x

#endif  // INT8X_QUANTIZATION_HISTOGRAM_H_
