// Every kernel of calibration's statistics equals plain loops; the histogram counts each element in
// the bin of its upper half, whatever the order and grouping.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "delegate/kernels/observe/observe.h"
#include "tests/kernel_test.h"

namespace int8x {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kTiny = std::numeric_limits<float>::denorm_min();

uint32_t upper(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits >> 16;
}

std::vector<float> values(Random* random, size_t n) {
  std::vector<float> x(n);
  for (float& v : x) {
    v = random->chance(30) ? 0.0f : std::ldexp(random->real(-1, 1), random->integer(-140, 127));
    if (random->chance(10)) v = random->chance(50) ? -0.0f : kTiny;
  }
  return x;
}

bool same_bits(const void* a, const void* b, size_t bytes) { return !std::memcmp(a, b, bytes); }

TEST(Summarize, EveryKernelEqualsPlainLoopsBitForBit) {
  std::printf("seed %u\n", kSeed);
  Random random;
  for (size_t channels : {1u, 7u, 8u, 9u, 15u, 16u, 17u, 35u, 129u}) {
    for (size_t rows : {0u, 1u, 2u, 31u}) {
      const std::vector<float> x = values(&random, rows * channels);
      std::vector<float> min(channels), max(channels);
      std::vector<double> sum(channels);
      for (size_t c = 0; c < channels; ++c) {
        min[c] = random.chance(50) ? kInfinity : -1.0f;
        max[c] = random.chance(50) ? -kInfinity : 0.0f;
        sum[c] = random.real(-1e20f, 1e20f);
      }
      const std::vector<float> min0 = min, max0 = max;
      const std::vector<double> sum0 = sum;
      for (size_t r = 0; r < rows; ++r) {
        for (size_t c = 0; c < channels; ++c) {
          const float v = x[r * channels + c];
          if (v < min[c]) min[c] = v;
          if (v > max[c]) max[c] = v;
          sum[c] += v;
        }
      }
      for (const SummarizeKernel* kernel : runnable(summarize_kernels())) {
        std::vector<float> least = min0, most = max0;
        std::vector<double> total = sum0;
        kernel->run(x.data(), rows, channels, least.data(), most.data(), total.data());
        EXPECT_EQ(least, min) << kernel->name;
        EXPECT_EQ(most, max) << kernel->name;
        EXPECT_TRUE(same_bits(total.data(), sum.data(), channels * sizeof(double)))
            << kernel->name << " " << rows << " x " << channels;
      }
    }
  }
}

// Whether an order other than the rows' may be taken is decided at these borders: sums of floats
// are exact in double up to 53 bits between the least unit and the sum.
TEST(Summarize, OneChannelIsSummedAsInOrder) {
  std::printf("seed %u\n", kSeed);
  Random random;
  for (size_t rows : {1u, 3u, 4u, 8u, 15u, 16u, 17u, 33u, 1000u, 4096u}) {
    for (int spread = 0; spread < 40; ++spread) {
      for (double start : {0.0, 1.0, -0x1p40, 1e-9, 1e300, 0x1.8p-120}) {
        std::vector<float> x(rows);
        for (float& v : x) {
          v = random.chance(20) ? 0.0f
                                : std::ldexp(random.real(-1, 1), 20 - random.integer(0, spread));
        }
        if (spread % 8 == 7) x[rows / 2] = kTiny;
        double wanted = start;
        for (float v : x) wanted += v;
        for (const SummarizeKernel* kernel : runnable(summarize_kernels())) {
          float least = kInfinity, most = -kInfinity;
          double total = start;
          kernel->run(x.data(), rows, 1, &least, &most, &total);
          EXPECT_TRUE(same_bits(&total, &wanted, sizeof wanted))
              << kernel->name << " " << rows << " " << spread << " " << start;
          EXPECT_EQ(least, *std::min_element(x.begin(), x.end())) << kernel->name;
          EXPECT_EQ(most, *std::max_element(x.begin(), x.end())) << kernel->name;
        }
      }
    }
  }
}

TEST(UpperHalves, EveryKernelKeepsWhatIsNotZeroInOrder) {
  std::printf("seed %u\n", kSeed);
  Random random;
  for (size_t n : {0u, 1u, 15u, 16u, 17u, 33u, 1000u}) {
    std::vector<float> x = values(&random, n);
    if (n > 2) x[n / 2] = NAN, x[n - 1] = -kInfinity;
    std::vector<uint16_t> wanted;
    for (float v : x) {
      if (upper(v) != 0) wanted.push_back(static_cast<uint16_t>(upper(v)));
    }
    for (const UpperHalvesKernel* kernel : runnable(upper_halves_kernels())) {
      std::vector<uint16_t> halves(n + 15);
      halves.resize(kernel->run(x.data(), n, halves.data()));
      EXPECT_EQ(halves, wanted) << kernel->name << " " << n;
    }
  }
}

struct Observed {
  std::vector<int64_t> bins = std::vector<int64_t>(kHistogramBins);
  std::vector<uint32_t> counts = std::vector<uint32_t>(kHistogramBins);
  std::vector<float> channel_min, channel_max;
  std::vector<double> channel_sum;

  ObserveSummary add(const std::vector<float>& x, size_t channels = 1,
                     arch::ArchSet archs = arch::supported()) {
    channel_min.assign(channels, 7);
    channel_max.assign(channels, 7);
    channel_sum.assign(channels, 7);
    const ObserveSummary summary = observe_run(
        make_observe_params(archs), x.data(), x.size() / channels, channels, counts.data(),
        bins.data(), channel_min.data(), channel_max.data(), channel_sum.data());
    EXPECT_EQ(counts, std::vector<uint32_t>(kHistogramBins)) << "zeros are what the next one needs";
    return summary;
  }
};

TEST(Observe, EachElementIsCountedInTheBinOfItsUpperHalf) {
  Random random;
  for (size_t n : {1u, 16u, 4095u, 4096u, 4097u, 20011u}) {
    std::vector<float> x = values(&random, n);
    const int sign = random.integer(-1, 1);  // one alone, or both
    for (float& v : x) v = sign == 0 ? v : std::copysign(v, static_cast<float>(sign));
    std::vector<int64_t> wanted(kHistogramBins);
    for (float v : x) ++wanted[upper(v)];
    for (size_t channels : {size_t{1}, n}) {
      for (arch::ArchSet archs : {arch::bit(arch::reference), arch::supported()}) {
        Observed observed;
        EXPECT_EQ(observed.add(x, channels, archs).non_finite, 0);
        EXPECT_EQ(observed.bins, wanted) << n << " " << channels;
      }
    }
  }
}

TEST(Observe, OrderAndGroupingChangeNoBit) {
  Random random;
  Observed forward, backward;
  std::vector<std::vector<float>> samples;
  for (int i = 0; i < 12; ++i) samples.push_back(values(&random, 257));
  for (size_t i = 0; i < samples.size(); ++i) {
    forward.add(samples[i]);
    backward.add(samples[samples.size() - 1 - i]);
  }
  EXPECT_EQ(forward.bins, backward.bins);
}

TEST(Observe, ChannelsHaveTheirOwnExtremesAndSums) {
  Observed observed;
  const ObserveSummary summary = observed.add({1, -2, 3, -4, 5, 6}, 2);
  EXPECT_EQ(observed.channel_min, (std::vector<float>{1, -4}));
  EXPECT_EQ(observed.channel_max, (std::vector<float>{5, 6}));
  EXPECT_EQ(observed.channel_sum, (std::vector<double>{9, 0}));
  EXPECT_EQ(summary.min, -4);
  EXPECT_EQ(summary.max, 6);
}

TEST(Observe, AnExtremeIsNeverMinusZero) {
  for (const std::vector<float>& x : {std::vector<float>{-0.0f, 0.0f}, {0.0f, -0.0f}, {-0.0f}}) {
    Observed observed;
    const ObserveSummary summary = observed.add(x);
    for (float end : {summary.min, summary.max, observed.channel_min[0], observed.channel_max[0]}) {
      EXPECT_EQ(upper(end), 0u);
    }
  }
}

TEST(Observe, NotANumberAndInfinitiesAreCounted) {
  for (float bad : {std::nanf(""), -std::nanf(""), kInfinity, -kInfinity}) {
    Observed observed;
    EXPECT_EQ(observed.add({1.0f, bad, 2.0f, bad, 3e38f, -3e38f}, 3).non_finite, 2);
  }
}

TEST(Observe, TheBestKernelOfTheSetIsTaken) {
  const ObserveParams params = make_observe_params(arch::supported());
  EXPECT_STREQ(params.summarize->name, first_name(summarize_kernels(), arch::supported()));
  EXPECT_STREQ(params.upper_halves->name, first_name(upper_halves_kernels(), arch::supported()));
  EXPECT_STREQ(make_observe_params(0).summarize->name, "summarize_f32_reference");
}

}  // namespace
}  // namespace int8x
