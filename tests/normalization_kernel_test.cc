// L2_NORMALIZATION and LOG_SOFTMAX stay within their derived distance of the real functions, and
// the fixed-point logarithm near log.

#include "delegate/kernels/reduce/l2_normalization.h"
#include "delegate/kernels/softmax/log_softmax.h"
#include "delegate/kernels/softmax/logarithm.h"
#include "tests/kernel_test.h"

namespace int8x {
namespace {

template <typename Params, typename Run>
std::vector<int8_t> run_rows(const Params& params, Run run, const std::vector<int8_t>& input) {
  std::vector<int8_t> output(input.size() + 16, 85);
  for (int64_t row = params.rows - 1; row >= 0; --row) {
    run(params, input.data(), output.data(), row, row + 1, nullptr);
  }
  for (size_t k = input.size(); k < output.size(); ++k) EXPECT_EQ(output[k], 85);
  output.resize(input.size());
  return output;
}

TEST(L2Normalization, IsWithinAStepOfTheRealFunction) {
  // The root is right to 2^-19; MBQM rounds twice, by half a unit and by half a step.
  constexpr double kSteps = 1.0 + 1.0 / 1024;
  std::printf("seed %u\n", kSeed);
  Random random;
  for (int round = 0; round < 500; ++round) {
    const int64_t rows = random.integer(1, 4), depth = random.pick({1, 2, 10, 33, 1000});
    const int32_t zero = random.pick({-128, 0, 127, random.integer(-128, 127)});
    const std::vector<int8_t> input = random.bytes(rows * depth);
    L2NormalizationParams params;
    ASSERT_TRUE(make_l2_normalization_params(zero, rows, depth, &params));
    const std::vector<int8_t> output = run_rows(params, l2_normalization_run, input);
    for (int64_t row = 0; row < rows; ++row) {
      double squares = 0;
      for (int64_t i = 0; i < depth; ++i) {
        squares += std::pow(input[static_cast<size_t>(row * depth + i)] - zero, 2);
      }
      for (int64_t i = 0; i < depth; ++i) {
        const size_t k = static_cast<size_t>(row * depth + i);
        const double real = squares == 0 ? 0 : 128 * (input[k] - zero) / std::sqrt(squares);
        ASSERT_LE(std::abs(output[k] - std::min(real, 127.0)), kSteps) << depth;
      }
    }
  }
}

TEST(L2Normalization, RefusesWhatCouldOverflow) {
  L2NormalizationParams params;
  EXPECT_TRUE(make_l2_normalization_params(0, 1, 33025, &params));
  EXPECT_FALSE(make_l2_normalization_params(0, 1, 33026, &params));
  EXPECT_FALSE(make_l2_normalization_params(0, 0, 1, &params));
  EXPECT_FALSE(make_l2_normalization_params(128, 1, 1, &params));
}

TEST(LogSoftmax, TheLogarithmIsNearTheRealOne) {
  Random random;
  for (int round = 0; round < 100000; ++round) {
    const int32_t a = random.integer(1 << 19, INT32_MAX) >> random.integer(0, 11);
    if (a < 1 << 19) continue;
    const double got = std::ldexp(log_of_at_least_one(a), -26);
    // Twenty roundings of 2^-25 and the polynomials' 2^-22.
    ASSERT_NEAR(got, std::log(std::ldexp(a, -19)), std::ldexp(1, -20)) << a;
  }
}

TEST(LogSoftmax, IsWithinAStepOfTheRealFunction) {
  Random random;
  for (int round = 0; round < 500; ++round) {
    const int64_t rows = random.integer(1, 4), depth = random.pick({1, 2, 10, 33, 1000});
    const float scale = random.scale(-8, 2);
    const std::vector<int8_t> input = random.bytes(rows * depth);
    LogSoftmaxParams params;
    ASSERT_TRUE(make_log_softmax_params(scale, rows, depth, &params));
    const std::vector<int8_t> output = run_rows(params, log_softmax_run, input);
    for (int64_t row = 0; row < rows; ++row) {
      const auto value = [&](int64_t i) {
        return double{scale} * input[static_cast<size_t>(row * depth + i)];
      };
      double max = -1e9, sum = 0;
      for (int64_t i = 0; i < depth; ++i) max = std::max(max, value(i));
      for (int64_t i = 0; i < depth; ++i) sum += std::exp(value(i) - max);
      for (int64_t i = 0; i < depth; ++i) {
        const double real = (value(i) - max - std::log(sum)) * 16 + 127;
        const double got = output[static_cast<size_t>(row * depth + i)];
        // dmin, somewhere between 15.5 and 31 below the maximum, cuts to -128.
        if (got == -128 && max - value(i) >= 15.5) continue;
        ASSERT_LE(std::abs(got - std::max(real, -128.0)), 1.0) << scale << " " << depth;
      }
    }
  }
}

TEST(LogSoftmax, RefusesWhatCouldOverflow) {
  LogSoftmaxParams params;
  EXPECT_TRUE(make_log_softmax_params(1.0f, 1, 4095, &params));
  EXPECT_FALSE(make_log_softmax_params(1.0f, 1, 4096, &params));
  EXPECT_FALSE(make_log_softmax_params(1e-9f, 1, 4, &params));
  EXPECT_FALSE(make_log_softmax_params(INFINITY, 1, 4, &params));
  EXPECT_FALSE(make_log_softmax_params(1.0f, 0, 4, &params));
}

}  // namespace
}  // namespace int8x
