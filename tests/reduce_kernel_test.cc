// Every MEAN and SUM kernel equals the sum over the reduced axes and one rounding, REDUCE_MAX and
// REDUCE_MIN the extremum, for every set of axes.

#include "delegate/fixed_point/requantize.h"
#include "delegate/kernels/reduce/extremum.h"
#include "delegate/kernels/reduce/mean.h"
#include "tests/kernel_test.h"

namespace int8x {
namespace {

using Dims = std::vector<int32_t>;

// Sums by output element, in the order of the output's elements.
std::vector<int64_t> sums_by_definition(const Dims& dims, const std::vector<bool>& reduced,
                                        const std::vector<int8_t>& input) {
  int64_t outputs = 1;
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    if (!reduced[axis]) outputs *= dims[axis];
  }
  std::vector<int64_t> sums(static_cast<size_t>(outputs), 0);
  for (size_t i = 0; i < input.size(); ++i) {
    int64_t rest = static_cast<int64_t>(i), at = 0, stride = 1;
    for (size_t axis = dims.size(); axis-- > 0; rest /= dims[axis]) {
      if (reduced[axis]) continue;
      at += rest % dims[axis] * stride;
      stride *= dims[axis];
    }
    sums[static_cast<size_t>(at)] += input[i];
  }
  return sums;
}

std::vector<int8_t> extrema_by_definition(const Dims& dims, const std::vector<bool>& reduced,
                                          const std::vector<int8_t>& input, bool maximum) {
  std::vector<int8_t> best;
  for (size_t i = 0; i < input.size(); ++i) {
    int64_t rest = static_cast<int64_t>(i), at = 0, stride = 1;
    for (size_t axis = dims.size(); axis-- > 0; rest /= dims[axis]) {
      if (reduced[axis]) continue;
      at += rest % dims[axis] * stride;
      stride *= dims[axis];
    }
    const size_t k = static_cast<size_t>(at);
    if (best.size() < static_cast<size_t>(stride)) {
      best.assign(static_cast<size_t>(stride), maximum ? INT8_MIN : INT8_MAX);
    }
    best[k] = maximum ? std::max(best[k], input[i]) : std::min(best[k], input[i]);
  }
  return best;
}

int8_t finish_sum(int64_t sum, int64_t n, const MeanQuantization& q) {
  const Multiplier m = quantize_multiplier(double{q.input_scale} / double{q.output_scale});
  const int32_t centred = static_cast<int32_t>(sum - q.input_zero_point * n);
  return static_cast<int8_t>(clamp(
      wrapping_add(multiply_by_quantized_multiplier(centred, m), q.output_zero_point), -128, 127));
}

// The formula of the header, spelt out.
int8_t finish(int64_t sum, int64_t n, const MeanQuantization& q) {
  const Multiplier m = quantize_multiplier(double{q.input_scale} / double{q.output_scale});
  int k = 0;
  while (k < 32 && int64_t{2} << k <= n) ++k;
  k = std::min(k, 31 + m.shift);
  const Multiplier divided = {
      static_cast<int32_t>(static_cast<int64_t>(static_cast<uint64_t>(m.multiplier) << k) / n),
      m.shift - k};
  const int32_t centred = static_cast<int32_t>(sum - q.input_zero_point * n);
  return static_cast<int8_t>(
      clamp(wrapping_add(multiply_by_quantized_multiplier(centred, divided), q.output_zero_point),
            -128, 127));
}

void expect_all_equal(Random& random, const Dims& dims, const std::vector<int32_t>& axes) {
  int64_t size = 1, n = 1;
  std::vector<bool> reduced(dims.size(), false);
  for (int32_t axis : axes) {
    reduced[static_cast<size_t>(axis < 0 ? axis + static_cast<int32_t>(dims.size()) : axis)] = true;
  }
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    size *= dims[axis];
    if (reduced[axis]) n *= dims[axis];
  }
  MeanQuantization q;
  q.input_scale = random.scale(-8, 2);
  q.output_scale = random.chance(50) ? q.input_scale * std::ldexp(1.0f, random.integer(-3, 3))
                                     : random.scale(-16, 10);
  q.input_zero_point = random.pick({-128, 127, 0, random.integer(-128, 127)});
  q.output_zero_point = random.pick({-128, 127, 0, random.integer(-128, 127)});
  MeanParams params;
  ASSERT_TRUE(make_mean_params(q, dims.data(), static_cast<int>(dims.size()), axes.data(),
                               static_cast<int>(axes.size()), arch::supported(), &params));
  EXPECT_STREQ(mean_kernel_name(params), first_name(mean_kernels(), arch::supported()));
  const std::vector<int8_t> input = random.bytes(size);
  std::vector<int8_t> wanted;
  for (int64_t sum : sums_by_definition(dims, reduced, input)) wanted.push_back(finish(sum, n, q));
  for (int i = 0; i < mean_kernels().count; ++i) {
    params.kernel = &mean_kernels().kernels[i];
    if (!arch::has(arch::supported(), params.kernel->arch)) continue;
    std::vector<int8_t> output(wanted.size() + 64, 85);
    for (int64_t tile = mean_tiles(params) - 1; tile >= 0; --tile) {
      mean_run(params, input.data(), output.data(), tile, tile + 1, nullptr);
    }
    for (size_t k = wanted.size(); k < output.size(); ++k) ASSERT_EQ(output[k], 85);
    output.resize(wanted.size());
    ASSERT_EQ(output, wanted) << params.kernel->name;
  }
  ASSERT_TRUE(make_sum_params(q, dims.data(), static_cast<int>(dims.size()), axes.data(),
                              static_cast<int>(axes.size()), arch::supported(), &params));
  wanted.clear();
  for (int64_t sum : sums_by_definition(dims, reduced, input)) {
    wanted.push_back(finish_sum(sum, n, q));
  }
  std::vector<int8_t> output(wanted.size());
  mean_run(params, input.data(), output.data(), 0, mean_tiles(params), nullptr);
  ASSERT_EQ(output, wanted);
  for (bool maximum : {true, false}) {
    ExtremumParams extremum;
    ASSERT_TRUE(make_extremum_params(maximum, dims.data(), static_cast<int>(dims.size()),
                                     axes.data(), static_cast<int>(axes.size()), &extremum));
    output.assign(wanted.size() + 64, 85);
    for (int64_t tile = extremum_tiles(extremum) - 1; tile >= 0; --tile) {
      extremum_run(extremum, input.data(), output.data(), tile, tile + 1, nullptr);
    }
    for (size_t k = wanted.size(); k < output.size(); ++k) ASSERT_EQ(output[k], 85);
    output.resize(wanted.size());
    ASSERT_EQ(output, extrema_by_definition(dims, reduced, input, maximum));
  }
}

TEST(Mean, EverySetOfAxesOfSmallTensors) {
  std::printf("seed %u\n", kSeed);
  runnable(mean_kernels());
  Random random;
  for (const Dims& dims : std::vector<Dims>{{7},
                                            {3, 5},
                                            {2, 3, 4},
                                            {2, 3, 4, 5},
                                            {1, 6, 1, 7},
                                            {2, 1, 3, 2, 5},
                                            {2, 3, 2, 3, 2, 3}}) {
    for (int32_t mask = 0; mask < 1 << dims.size(); ++mask) {
      std::vector<int32_t> axes;
      for (int32_t axis = 0; axis < static_cast<int32_t>(dims.size()); ++axis) {
        if ((mask >> axis & 1) == 0) continue;
        axes.push_back(random.chance(50) ? axis : axis - static_cast<int32_t>(dims.size()));
        if (random.chance(20)) axes.push_back(axis);  // twice is once
      }
      expect_all_equal(random, dims, axes);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Mean, HeightAndWidthOfImages) {
  Random random;
  for (int32_t channels :
       {1, 3, 15, 16, 17, 31, 32, 33, 35, 63, 64, 65, 67, 255, 256, 257, 515, 1280}) {
    for (int32_t size : {1, 2, 7, 16, 17}) {
      expect_all_equal(random, {random.integer(1, 2), size, size, channels}, {1, 2});
      expect_all_equal(random, {1, size, 2, channels}, {1});
      expect_all_equal(random, {1, size, 2, channels}, {3});
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Mean, LongRowsKeepTheirSums) {
  Random random;
  for (int32_t n : {254, 255, 256, 510, 511, 4096, 70001}) {
    expect_all_equal(random, {1, n, 1, 19}, {1, 2});
    expect_all_equal(random, {2, n}, {1});
    expect_all_equal(random, {2, n}, {0, 1});
    if (HasFatalFailure()) return;
  }
}

TEST(Mean, RefusesWhatHasNoMeaning) {
  MeanParams params;
  auto made = [&](const Dims& dims, const std::vector<int32_t>& axes, float in, float out) {
    return make_mean_params({in, out, 0, 0}, dims.data(), static_cast<int>(dims.size()),
                            axes.data(), static_cast<int>(axes.size()), arch::supported(), &params);
  };
  EXPECT_TRUE(made({2, 3}, {1}, 1, 1));
  EXPECT_FALSE(made({2, 3}, {2}, 1, 1));
  EXPECT_FALSE(made({2, 3}, {-3}, 1, 1));
  EXPECT_FALSE(made({2, 0}, {1}, 1, 1));
  EXPECT_FALSE(made({2, 3}, {1}, 0, 1));
  EXPECT_FALSE(made({2, 3}, {1}, 1, NAN));
  EXPECT_FALSE(made({2, 3}, {1}, 1e30f, 1e-5f));
  EXPECT_FALSE(made({1, 1, 1, 1, 1, 1, 1, 1, 1}, {1}, 1, 1));
}

}  // namespace
}  // namespace int8x
