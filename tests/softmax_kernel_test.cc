// SOFTMAX follows its integer formula element by element, stays close to the real function, and has
// an answer where the sum reaches 512.

#include <algorithm>

#include "delegate/fixed_point/requantize.h"
#include "delegate/kernels/softmax/exponential.h"
#include "delegate/kernels/softmax/softmax.h"
#include "tests/kernel_test.h"

namespace int8x {
namespace {

// The formula of the header for one row, without tables.
std::vector<int8_t> by_formula(const std::vector<int8_t>& row, float scale, float beta) {
  const double real = std::min(double{beta} * double{scale} * (1 << 26), 2147483647.0);
  const Multiplier m = quantize_multiplier(real);
  const double radius = std::floor(31.0 * (1 << 26) / std::ldexp(1.0, m.shift));
  const int32_t max = *std::max_element(row.begin(), row.end());
  auto exponential = [&](int32_t d) {
    const int32_t shifted = static_cast<int32_t>(static_cast<uint32_t>(d) << m.shift);
    return exp_on_negative_values(saturating_rounding_doubling_high_mul(shifted, m.multiplier));
  };
  int64_t sum = 0;
  for (int8_t q : row) {
    if (q - max >= -radius) sum += rounding_divide_by_pot(exponential(q - max), 12);
  }
  std::vector<int8_t> out;
  for (int8_t q : row) {
    if (q - max < -radius || sum >= int64_t{1} << 28) {
      out.push_back(-128);
      continue;
    }
    const int zeros = __builtin_clz(static_cast<uint32_t>(sum));
    const int32_t r = one_over_one_plus_x(
        static_cast<int32_t>((static_cast<uint32_t>(sum) << zeros) - (uint32_t{1} << 31)));
    const int32_t y = rounding_divide_by_pot(
        saturating_rounding_doubling_high_mul(r, exponential(q - max)), 35 - zeros);
    out.push_back(static_cast<int8_t>(clamp(y - 128, -128, 127)));
  }
  return out;
}

std::vector<int8_t> run(const SoftmaxParams& params, const std::vector<int8_t>& input) {
  std::vector<int8_t> output(input.size());
  for (int64_t tile = softmax_tiles(params) - 1; tile >= 0; --tile) {
    softmax_run(params, input.data(), output.data(), tile, tile + 1, nullptr);
  }
  return output;
}

TEST(Softmax, EqualsTheFormula) {
  std::printf("seed %u\n", kSeed);
  Random random;
  for (int round = 0; round < 300; ++round) {
    const float scale = random.scale(-12, 6);
    const float beta = random.pick({1, 1, 2}) * (random.chance(80) ? 1.0f : 0.3f);
    const int64_t rows = random.integer(1, 3);
    const int64_t depth = random.pick({1, 2, 3, 10, 100, 511, 512, 1001, 4000});
    const int32_t low = random.chance(50) ? -128 : random.integer(-128, 100);
    const std::vector<int8_t> input = random.bytes(rows * depth, low);
    SoftmaxParams params;
    ASSERT_TRUE(make_softmax_params(scale, beta, rows, depth, arch::supported(), &params));
    EXPECT_STREQ(softmax_kernel_name(params), first_name(softmax_kernels(), arch::supported()));
    for (const SoftmaxKernel* kernel : runnable(softmax_kernels())) {
      params.kernel = kernel;
      const std::vector<int8_t> output = run(params, input);
      for (int64_t row = 0; row < rows; ++row) {
        const auto first = row * depth, last = first + depth;
        const std::vector<int8_t> wanted =
            by_formula({input.begin() + first, input.begin() + last}, scale, beta);
        ASSERT_TRUE(std::equal(wanted.begin(), wanted.end(), output.begin() + first))
            << kernel->name << ": scale " << scale << ", depth " << depth;
      }
    }
  }
}

TEST(Softmax, IsWithinOneStepOfTheRealFunction) {
  Random random;
  for (int round = 0; round < 100; ++round) {
    const float scale = random.real(0.01f, 0.5f);
    const int64_t depth = random.integer(1, 400);
    const std::vector<int8_t> input = random.bytes(depth);
    SoftmaxParams params;
    ASSERT_TRUE(make_softmax_params(scale, 1.0f, 1, depth, arch::supported(), &params));
    const std::vector<int8_t> output = run(params, input);
    double sum = 0;
    for (int8_t q : input) sum += std::exp(double{scale} * q);
    for (size_t i = 0; i < input.size(); ++i) {
      const double real = 256 * std::exp(double{scale} * input[i]) / sum - 128;
      ASSERT_LE(std::abs(output[i] - std::min(real, 127.0)), 1.0) << scale << " " << depth;
    }
  }
}

// Here the reference aborts the process.
TEST(Softmax, FlatRowsThatReach512AreAllZero) {
  for (int64_t depth : {511, 512, 513, 1001, 4095, 4096, 4097, 100000}) {
    SoftmaxParams params;
    ASSERT_TRUE(make_softmax_params(0.1f, 1.0f, 1, depth, arch::supported(), &params));
    const std::vector<int8_t> output = run(params, std::vector<int8_t>(depth, 7));
    // 1/511 of 256 rounds to one step; from 512 on the fixed-point quotient is below a half.
    const int8_t wanted = depth < 512 ? -127 : -128;
    ASSERT_EQ(output, std::vector<int8_t>(depth, wanted)) << depth;
  }
}

TEST(Softmax, ExponentialAndReciprocalAreAccurate) {
  for (int32_t a = 0; a > -(1 << 30); a -= 9973 * 64) {
    const double real = std::exp(std::ldexp(static_cast<double>(a), -26));
    ASSERT_NEAR(std::ldexp(static_cast<double>(exp_on_negative_values(a)), -31), real, 3e-7) << a;
  }
  EXPECT_EQ(exp_on_negative_values(0), INT32_MAX);
  for (int64_t a = 0; a <= INT32_MAX; a += 1048573) {
    const double real = 1 / (1 + std::ldexp(static_cast<double>(a), -31));
    const int32_t got = one_over_one_plus_x(static_cast<int32_t>(a));
    ASSERT_NEAR(std::ldexp(static_cast<double>(got), -31), real, 1e-8) << a;
  }
}

TEST(Softmax, RefusesWhatTheReferenceRefuses) {
  SoftmaxParams params;
  const arch::ArchSet archs = arch::supported();
  EXPECT_TRUE(make_softmax_params(0.1f, 1.0f, 1, 10, archs, &params));
  EXPECT_TRUE(make_softmax_params(1e9f, 1.0f, 1, 10, archs, &params));  // capped
  EXPECT_FALSE(make_softmax_params(1e-9f, 1.0f, 1, 10, archs, &params));
  EXPECT_FALSE(make_softmax_params(0.1f, -1.0f, 1, 10, archs, &params));
  EXPECT_FALSE(make_softmax_params(NAN, 1.0f, 1, 10, archs, &params));
  EXPECT_FALSE(make_softmax_params(0.1f, INFINITY, 1, 10, archs, &params));
  EXPECT_FALSE(make_softmax_params(0.1f, 1.0f, 0, 10, archs, &params));
  EXPECT_FALSE(make_softmax_params(0.1f, 1.0f, 1, 0, archs, &params));
}

}  // namespace
}  // namespace int8x
