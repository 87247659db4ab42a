#include "delegate/quantization/histogram.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace int8x {
namespace {

// The smallest e >= kHistogramMinExponent with -2048 * 2^e <= x < 2048 * 2^e.
int exponent_for(float x) {
  if (x == 0.0f) return kHistogramMinExponent;
  int e;
  const float fraction = std::frexp(x, &e);  // |x| = |fraction| * 2^e, |fraction| in [0.5, 1)
  e -= 11;                                   // 2048 = 2^11
  // -2^11 * 2^k itself is a bin, so an exact negative power of two needs one less.
  if (fraction == -0.5f) --e;
  return std::max(e, kHistogramMinExponent);
}

// floor(x / 2^e), given scale = 2^-e exactly; |x / 2^e| <= 2048.
inline int floor_index(float x, float scale) {
  const float scaled = x * scale;
  const int truncated = static_cast<int>(scaled);
  // A tiny negative x may underflow to -0 when scaled, yet its floor is -1: ask x itself.
  // No short circuit: the signs of activations are what a branch predictor guesses worst.
  const int below = static_cast<int>(scaled < static_cast<float>(truncated)) |
                    (static_cast<int>(x < 0.0f) & static_cast<int>(truncated == 0));
  return truncated - below;
}

// So many elements are read twice in a row, from the first-level cache the second time.
constexpr size_t kChunk = 4096;
// A counter of the scratch holds as many as a call may add before they must move to the bins.
constexpr size_t kCounterLimit = size_t{1} << 31;

// Four counters per bin, in turn: equal neighbours (ReLU's zeros) would otherwise make each
// increment wait for the store of the last one.
class Counters {
 public:
  explicit Counters(uint32_t* scratch) : banks_(scratch + kHistogramZero) {}

  void add(const float* x, size_t n, float scale) {
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
      const int b0 = floor_index(x[i], scale), b1 = floor_index(x[i + 1], scale);
      const int b2 = floor_index(x[i + 2], scale), b3 = floor_index(x[i + 3], scale);
      ++banks_[b0];
      ++banks_[kHistogramBins + b1];
      ++banks_[2 * kHistogramBins + b2];
      ++banks_[3 * kHistogramBins + b3];
    }
    for (; i < n; ++i) ++banks_[floor_index(x[i], scale)];
    held_ += n;
  }

  bool full() const { return held_ > kCounterLimit; }

  // Moves the counts to bins that hold everything in [min, max], and leaves zeros.
  void move_to(int64_t* bins, float min, float max, float scale) {
    if (held_ == 0) return;
    for (int b = floor_index(min, scale), last = floor_index(max, scale); b <= last; ++b) {
      for (int bank = 0; bank < 4; ++bank) {
        bins[kHistogramZero + b] += banks_[bank * kHistogramBins + b];
        banks_[bank * kHistogramBins + b] = 0;
      }
    }
    held_ = 0;
  }

 private:
  uint32_t* banks_;
  size_t held_ = 0;
};

}  // namespace

int histogram_exponent(float lo, float hi) { return std::max(exponent_for(lo), exponent_for(hi)); }

void widen_histogram(int64_t* bins, int steps) {
  for (; steps > 0; --steps) {
    // Halving moves every index toward zero or keeps it, so each half can be folded in place from
    // the middle outwards.
    for (int i = 0; i < kHistogramZero / 2; ++i) {
      const int up = kHistogramZero + 2 * i;
      bins[kHistogramZero + i] = bins[up] + bins[up + 1];
      const int down = kHistogramZero - 1 - 2 * i;
      bins[kHistogramZero - 1 - i] = bins[down] + bins[down - 1];
    }
    std::fill(bins + kHistogramZero + kHistogramZero / 2, bins + kHistogramBins, 0);
    std::fill(bins, bins + kHistogramZero / 2, 0);
  }
}

TensorSummary add_to_histogram(const float* x, size_t rows, size_t channels, int exponent,
                               int64_t* bins, float* channel_min, float* channel_max,
                               double* channel_sum, uint32_t* scratch) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  TensorSummary summary = {kInfinity, -kInfinity, exponent, 0};
  std::fill(channel_min, channel_min + channels, kInfinity);
  std::fill(channel_max, channel_max + channels, -kInfinity);
  std::fill(channel_sum, channel_sum + channels, 0.0);
  Counters counters(scratch);
  float scale = std::ldexp(1.0f, -exponent);
  const size_t chunk_rows = std::max<size_t>(1, kChunk / std::max<size_t>(channels, 1));
  for (size_t begin = 0; begin < rows && channels > 0; begin += chunk_rows) {
    const float* chunk = x + begin * channels;
    const size_t count = std::min(chunk_rows, rows - begin);
    for (size_t r = 0; r < count; ++r) {
      const float* row = chunk + r * channels;
      for (size_t c = 0; c < channels; ++c) {
        channel_min[c] = row[c] < channel_min[c] ? row[c] : channel_min[c];
        channel_max[c] = row[c] > channel_max[c] ? row[c] : channel_max[c];
        channel_sum[c] += row[c];
      }
    }
    const float min = summary.min, max = summary.max;
    for (size_t c = 0; c < channels; ++c) {
      summary.min = std::min(summary.min, channel_min[c]);
      summary.max = std::max(summary.max, channel_max[c]);
      // A sum of floats in double overflows only past 2^1024 / 2^128 terms: not finite means that
      // a term was not.
      if (!std::isfinite(channel_sum[c])) ++summary.non_finite;
    }
    const bool stop = summary.non_finite != 0;
    const int needed = stop ? summary.exponent : histogram_exponent(summary.min, summary.max);
    if (stop || needed > summary.exponent || counters.full()) {
      counters.move_to(bins, min, max, scale);
    }
    if (stop) return summary;
    if (needed > summary.exponent) {
      widen_histogram(bins, needed - summary.exponent);
      summary.exponent = needed;
      scale = std::ldexp(1.0f, -needed);
    }
    counters.add(chunk, count * channels, scale);
  }
  counters.move_to(bins, summary.min, summary.max, scale);
  return summary;
}

}  // namespace int8x
