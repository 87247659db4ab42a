// delegate/quantization: histograms against exact floors in double, sums against integers, rounding
// ties.

#include "delegate/quantization/histogram.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "delegate/quantization/affine.h"
#include "delegate/quantization/exact_sum.h"
#include "gtest/gtest.h"

namespace int8x {
namespace {

constexpr uint32_t kSeed = 7;

struct Histogram {
  int exponent = kHistogramMinExponent;
  std::vector<int64_t> bins = std::vector<int64_t>(kHistogramBins);
  std::vector<uint32_t> scratch = std::vector<uint32_t>(kHistogramScratch);
  std::vector<float> channel_min, channel_max;
  std::vector<double> channel_sum;

  TensorSummary add(const std::vector<float>& x, size_t channels = 1) {
    channel_min.resize(channels);
    channel_max.resize(channels);
    channel_sum.resize(channels);
    const TensorSummary summary = add_to_histogram(
        x.data(), x.size() / channels, channels, exponent, bins.data(), channel_min.data(),
        channel_max.data(), channel_sum.data(), scratch.data());
    exponent = summary.exponent;
    return summary;
  }
};

std::vector<int64_t> expected_bins(const std::vector<float>& x, int exponent) {
  std::vector<int64_t> bins(kHistogramBins);
  for (float v : x) {
    ++bins[kHistogramZero + static_cast<int>(std::floor(std::ldexp(double{v}, -exponent)))];
  }
  return bins;
}

std::vector<float> random_values(size_t n, float spread, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, spread);
  std::vector<float> x(n);
  for (float& v : x) v = normal(random);
  return x;
}

TEST(Histogram, CountsTheExactFloorOfEveryElement) {
  for (size_t n : {1u, 3u, 4u, 5u, 1000u, 4099u}) {
    const std::vector<float> x = random_values(n, 3.0f, kSeed);
    Histogram histogram;
    histogram.add(x);
    EXPECT_EQ(histogram.bins, expected_bins(x, histogram.exponent)) << n;
  }
}

TEST(Histogram, TheExponentIsTheSmallestThatHoldsBothEnds) {
  const float values[] = {1.0f,    -1.0f, 2047.0f,  2048.0f, -2048.0f, -2049.0f, 1e-30f,
                          -1e-30f, 3e38f, -3.4e38f, 0.1f,    -0.1f,    2047.9f,  1e-45f};
  for (float v : values) {
    const int e = histogram_exponent(std::min(v, 0.0f), std::max(v, 0.0f));
    const auto fits = [&](int exponent) {
      const double index = std::floor(std::ldexp(double{v}, -exponent));
      return index >= -2048 && index <= 2047;
    };
    EXPECT_TRUE(fits(e)) << v;
    EXPECT_TRUE(e == kHistogramMinExponent || !fits(e - 1)) << v;
  }
}

TEST(Histogram, ATinyNegativeBesideALargeValueFallsBelowZero) {
  const float tiny = std::numeric_limits<float>::denorm_min();
  const std::vector<float> x = {3e38f, -tiny, tiny, -1e-40f, 0.0f, -0.0f};
  Histogram histogram;
  histogram.add(x);
  EXPECT_EQ(histogram.bins, expected_bins(x, histogram.exponent));
  EXPECT_EQ(histogram.bins[kHistogramZero - 1], 2);
}

TEST(Histogram, OrderAndGroupingChangeNoBit) {
  std::vector<std::vector<float>> samples;
  for (uint32_t i = 0; i < 12; ++i) {
    samples.push_back(random_values(257, std::ldexp(1.0f, static_cast<int>(i * 5 % 12) - 6), i));
  }
  Histogram forward, backward;
  for (size_t i = 0; i < samples.size(); ++i) {
    forward.add(samples[i]);
    backward.add(samples[samples.size() - 1 - i]);
  }
  EXPECT_EQ(forward.exponent, backward.exponent);
  EXPECT_EQ(forward.bins, backward.bins);
}

TEST(Histogram, ValuesThatGrowWithinOneCallAreCountedOnTheFinalGrid) {
  std::vector<float> x = random_values(20011, 1.0f, kSeed);
  for (size_t i = 0; i < x.size(); ++i) x[i] *= std::ldexp(1.0f, static_cast<int>(i / 1500) - 6);
  for (size_t channels : {1u, 20011u}) {
    Histogram histogram;
    histogram.add(x, channels);
    EXPECT_EQ(histogram.bins, expected_bins(x, histogram.exponent));
    EXPECT_EQ(histogram.scratch, std::vector<uint32_t>(kHistogramScratch));
  }
  x[15000] = std::nanf("");
  Histogram spoilt;
  EXPECT_EQ(spoilt.add(x).non_finite, 1u);
  EXPECT_EQ(spoilt.scratch, std::vector<uint32_t>(kHistogramScratch));
}

TEST(Histogram, WideningHalvesEveryIndexDownwards) {
  std::vector<int64_t> bins(kHistogramBins);
  for (int i = 0; i < kHistogramBins; ++i) bins[i] = i + 1;
  for (int steps : {0, 1, 2, 7, 12, 13, 250}) {
    std::vector<int64_t> widened = bins, expected(kHistogramBins);
    widen_histogram(widened.data(), steps);
    for (int i = 0; i < kHistogramBins; ++i) {
      int index = i - kHistogramZero;
      for (int s = 0; s < steps; ++s) index >>= 1;
      expected[kHistogramZero + index] += bins[i];
    }
    EXPECT_EQ(widened, expected) << steps;
  }
}

TEST(Histogram, ChannelsHaveTheirOwnExtremesAndSums) {
  const std::vector<float> x = {1, -2, 3, -4, 5, 6};
  Histogram histogram;
  const TensorSummary summary = histogram.add(x, 2);
  EXPECT_EQ(histogram.channel_min, (std::vector<float>{1, -4}));
  EXPECT_EQ(histogram.channel_max, (std::vector<float>{5, 6}));
  EXPECT_EQ(histogram.channel_sum, (std::vector<double>{9, 0}));
  EXPECT_EQ(summary.min, -4);
  EXPECT_EQ(summary.max, 6);
}

TEST(Histogram, NotANumberAndInfinitiesAreReportedAndCountNothing) {
  const float inf = std::numeric_limits<float>::infinity();
  for (float bad : {std::nanf(""), inf, -inf}) {
    Histogram histogram;
    EXPECT_EQ(histogram.add({1.0f, bad, 2.0f}, 3).non_finite, 1u);
    EXPECT_EQ(histogram.bins, std::vector<int64_t>(kHistogramBins));
  }
  Histogram both;
  EXPECT_EQ(both.add({inf, -inf}).non_finite, 1u);
}

TEST(ExactSum, AddsWhatDoublesWouldLose) {
  std::vector<int64_t> sum(kExactLimbs), none(kExactLimbs);
  const double tiny = std::ldexp(1.0, -149), huge = std::ldexp(1.0, 190);
  for (double x : {huge, tiny, 1.5, -huge, -1.5, -tiny}) add_exactly(&x, 1, sum.data());
  EXPECT_EQ(sum, none);
}

TEST(ExactSum, ManyTermsInAnyOrderHaveTheSameLimbs) {
  std::mt19937 random(kSeed);
  std::vector<double> x(2000);
  for (double& v : x) {
    v = std::ldexp(static_cast<double>(random()) - 2147483648.0,
                   static_cast<int>(random() % 200) - 100);
  }
  std::vector<int64_t> forward(kExactLimbs), backward(kExactLimbs), left(kExactLimbs),
      right(kExactLimbs);
  for (size_t i = 0; i < x.size(); ++i) {
    add_exactly(&x[i], 1, forward.data());
    add_exactly(&x[x.size() - 1 - i], 1, backward.data());
    add_exactly(&x[i], 1, i % 3 ? left.data() : right.data());
  }
  merge_exact_sums(left.data(), 1, right.data());
  EXPECT_EQ(forward, backward);
  EXPECT_EQ(forward, right);
  for (size_t i = 0; i + 1 < kExactLimbs; ++i) {
    EXPECT_GE(forward[i], 0);
    EXPECT_LT(forward[i], int64_t{1} << 32);
  }
}

TEST(Affine, TiesRoundAwayFromZeroAndTheEndsSaturate) {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> x = {0.25f, -0.25f, 0.75f, -0.75f, 0.24f,
                                1e30f, -1e30f, inf,   -inf,   std::nanf("")};
  std::vector<int32_t> q(x.size());
  quantize_affine(x.data(), x.size(), 0.5, 3, -128, 127, q.data());
  EXPECT_EQ(q, (std::vector<int32_t>{4, 2, 5, 1, 3, 127, -128, 127, -128, 3}));
}

TEST(Affine, DequantizeThenQuantizeGivesEveryIntegerBack) {
  for (int32_t zero_point : {-128, -3, 0, 127}) {
    std::vector<int32_t> q(256), again(256);
    std::vector<float> x(256);
    for (int i = 0; i < 256; ++i) q[i] = i - 128;
    dequantize_affine(q.data(), q.size(), 0.0123f, zero_point, x.data());
    quantize_affine(x.data(), x.size(), 0.0123f, zero_point, -128, 127, again.data());
    EXPECT_EQ(q, again);
  }
}

}  // namespace
}  // namespace int8x
