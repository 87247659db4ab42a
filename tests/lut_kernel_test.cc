// Tables hold what the formulas say, and every kernel reads them right.

#include <algorithm>

#include "delegate/fixed_point/requantize.h"
#include "delegate/kernels/lut/lut.h"
#include "tests/kernel_test.h"

namespace int8x {
namespace {

using Table = std::vector<uint8_t>;

LutQuantization random_quantization(Random& random) {
  LutQuantization q;
  q.input_scale = random.scale(-10, 0);
  q.output_scale = random.chance(50) ? q.input_scale : random.scale(-10, 0);
  q.input_zero_point = random.integer(-128, 127);
  q.output_zero_point = random.chance(50) ? q.input_zero_point : random.integer(-128, 127);
  return q;
}

void expect_every_kernel_reads(const Table& table, Random& random) {
  for (int32_t count : {1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 130, 256, 40000}) {
    const std::vector<int8_t> input = random.bytes(count);
    LutParams params;
    ASSERT_TRUE(make_lut_params(table.data(), count, arch::supported(), &params));
    for (int i = 0; i < lut_kernels().count; ++i) {
      const LutKernel& kernel = lut_kernels().kernels[i];
      if (!arch::has(arch::supported(), kernel.arch) || (kernel.clamps && !params.is_clamp)) {
        continue;
      }
      params.kernel = &kernel;
      std::vector<int8_t> output(static_cast<size_t>(count) + 64, 85);
      for (int64_t tile = lut_tiles(params) - 1; tile >= 0; --tile) {
        lut_run(params, input.data(), output.data(), tile, tile + 1, nullptr);
      }
      for (int32_t k = 0; k < count; ++k) {
        ASSERT_EQ(static_cast<uint8_t>(output[static_cast<size_t>(k)]),
                  table[static_cast<uint8_t>(input[static_cast<size_t>(k)])])
            << kernel.name << " of " << count;
      }
      for (size_t k = static_cast<size_t>(count); k < output.size(); ++k) ASSERT_EQ(output[k], 85);
    }
  }
}

TEST(Lut, EveryKernelReadsEveryEntry) {
  std::printf("seed %u\n", kSeed);
  runnable(lut_kernels());
  Random random;
  for (int round = 0; round < 20; ++round) {
    Table table(kLutSize);
    for (uint8_t& entry : table) entry = static_cast<uint8_t>(random.integer(0, 255));
    expect_every_kernel_reads(table, random);
    if (HasFatalFailure()) return;
  }
}

TEST(Lut, TablesThatClampAreFoundAndClamped) {
  Random random;
  for (int round = 0; round < 50; ++round) {
    const int32_t min = random.integer(-128, 127), max = random.integer(min, 127);
    Table table(kLutSize);
    for (int32_t q = -128; q < 128; ++q) table[q & 255] = static_cast<uint8_t>(clamp(q, min, max));
    LutParams params;
    ASSERT_TRUE(make_lut_params(table.data(), 5, arch::supported(), &params));
    EXPECT_TRUE(params.is_clamp);
    EXPECT_EQ(params.clamp_min, min);
    EXPECT_EQ(params.clamp_max, max);
    expect_every_kernel_reads(table, random);
    if (HasFatalFailure()) return;
    if (max - min < 2) continue;
    table[static_cast<size_t>((min + 1) & 255)] = static_cast<uint8_t>(min);
    ASSERT_TRUE(make_lut_params(table.data(), 5, arch::supported(), &params));
    EXPECT_FALSE(params.is_clamp);
    expect_every_kernel_reads(table, random);
    if (HasFatalFailure()) return;
  }
}

// As int8 a step from 0 to 255 goes from 0 down to -1: no clamp does that.
TEST(Lut, AStepOfUnsignedValuesIsNoClamp) {
  Random random;
  Table table(kLutSize);
  for (int32_t q = -128; q < 128; ++q) table[q & 255] = q < 0 ? 0 : 255;
  LutParams params;
  ASSERT_TRUE(make_lut_params(table.data(), 5, arch::supported(), &params));
  EXPECT_FALSE(params.is_clamp);
  expect_every_kernel_reads(table, random);
}

TEST(Lut, ReluOfEqualQuantizationsIsAClamp) {
  Table table(kLutSize);
  ASSERT_TRUE(make_relu_lut({0.5f, 0.5f, -3, -3}, table.data()));
  LutParams params;
  ASSERT_TRUE(make_lut_params(table.data(), 1, arch::supported(), &params));
  EXPECT_TRUE(params.is_clamp);
  EXPECT_EQ(params.clamp_min, -3);
  EXPECT_EQ(params.clamp_max, 127);
}

TEST(Lut, RectifiersRequantizeAndClamp) {
  Random random;
  for (int round = 0; round < 300; ++round) {
    const LutQuantization q = random_quantization(random);
    const Multiplier m = quantize_multiplier(q.input_scale / q.output_scale);
    auto steps = [&](float bound) {
      return static_cast<int32_t>(std::round(bound / q.output_scale)) + q.output_zero_point;
    };
    struct {
      bool (*make)(const LutQuantization&, uint8_t*);
      int32_t min, max;
    } cases[] = {{make_relu_lut, steps(0), 127},
                 {make_relu6_lut, steps(0), steps(6)},
                 {make_relu_n1_to_1_lut, steps(-1), steps(1)}};
    for (const auto& c : cases) {
      Table table(kLutSize);
      ASSERT_TRUE(c.make(q, table.data()));
      for (int32_t x = -128; x < 128; ++x) {
        const int32_t y =
            multiply_by_quantized_multiplier(x - q.input_zero_point, m) + q.output_zero_point;
        const int32_t wanted = std::min(std::max(y, std::max(c.min, -128)), std::min(c.max, 127));
        ASSERT_EQ(static_cast<int8_t>(table[x & 255]), wanted);
      }
    }
  }
}

// The table's values lie within `steps` output steps of the real function.
void expect_near(const Table& table, const LutQuantization& q, double (*real)(double),
                 double steps) {
  for (int32_t x = -128; x < 128; ++x) {
    const double value = real(double{q.input_scale} * (x - q.input_zero_point));
    const double wanted = value / q.output_scale + q.output_zero_point;
    const double got = static_cast<int8_t>(table[x & 255]);
    ASSERT_LE(std::abs(got - std::min(std::max(wanted, -128.0), 127.0)), steps) << x;
  }
}

TEST(Lut, FloatFunctionsAreWithinHalfAStepOfTheRealOnes) {
  using Make = bool (*)(const LutQuantization&, uint8_t*);
  const struct {
    Make make;
    double (*real)(double);
  } cases[] = {
      {make_logistic_lut, [](double v) { return 1 / (1 + std::exp(-v)); }},
      {make_tanh_lut, [](double v) { return std::tanh(v); }},
      {make_elu_lut, [](double v) { return v < 0 ? std::expm1(v) : v; }},
      {make_exp_lut, [](double v) { return std::exp(v); }},
      {make_log_lut, [](double v) { return v > 0 ? std::log(v) : -HUGE_VAL; }},
      {[](const LutQuantization& q, uint8_t* t) { return make_gelu_lut(q, false, t); },
       [](double v) { return 0.5 * v * std::erfc(-v * std::sqrt(0.5)); }},
      {[](const LutQuantization& q, uint8_t* t) { return make_gelu_lut(q, true, t); },
       [](double v) {
         return 0.5 * v * (1 + std::tanh(std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v)));
       }},
  };
  Random random;
  for (int round = 0; round < 100; ++round) {
    for (const auto& c : cases) {
      LutQuantization q = random_quantization(random);
      q.output_scale = std::max(q.output_scale, 1.0f / 256);
      if (c.make == make_logistic_lut) q.output_scale = 1.0f / 256;
      Table table(kLutSize);
      ASSERT_TRUE(c.make(q, table.data()));
      // float32 errs by less than 2^-8 of a step inside [-128, 127].
      expect_near(table, q, c.real, 0.5 + 1.0 / 256);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Lut, IntegerFunctionsAreNearTheRealOnes) {
  // MBQM's first rounding errs by half a unit, which its second halves at least.
  constexpr double kTwoRoundings = 0.75 + 1.0 / 1024;
  Random random;
  for (int round = 0; round < 200; ++round) {
    LutQuantization q = random_quantization(random);
    Table table(kLutSize);
    ASSERT_TRUE(make_abs_lut(q, table.data()));
    expect_near(
        table, q, [](double v) { return std::abs(v); }, kTwoRoundings);
    ASSERT_TRUE(make_leaky_relu_lut(q, 0.25f, table.data()));
    expect_near(
        table, q, [](double v) { return v < 0 ? v * 0.25 : v; }, kTwoRoundings);
    ASSERT_TRUE(make_leaky_relu_lut(q, -0.25f, table.data()));
    expect_near(
        table, q, [](double v) { return v < 0 ? v * -0.25 : v; }, kTwoRoundings);
    if (HasFatalFailure()) return;
    // HARD_SWISH works on x in 16 bits: 2^-7 of an input step, and the factor's 2^-15.
    q.output_scale = std::min(std::max(q.output_scale, q.input_scale / 4), q.input_scale * 256);
    ASSERT_TRUE(make_hard_swish_lut(q, table.data()));
    expect_near(
        table, q, [](double v) { return v * std::min(std::max(v + 3, 0.0), 6.0) / 6; }, 0.6);
    q.input_zero_point = -128;
    q.output_scale = std::max(q.output_scale, 1.0f / 64);
    ASSERT_TRUE(make_rsqrt_lut(q, table.data()));
    EXPECT_EQ(table[128], 127);
    table[128] = static_cast<uint8_t>(127);
    expect_near(
        table, q, [](double v) { return v == 0 ? 1e9 : 1 / std::sqrt(v); }, 0.5 + 1.0 / 64);
    if (HasFatalFailure()) return;
  }
}

TEST(Lut, RequantizeBetweenAllByteTypes) {
  Random random;
  for (int round = 0; round < 200; ++round) {
    for (LutType from : {LutType::s8, LutType::u8}) {
      for (LutType to : {LutType::s8, LutType::u8}) {
        LutQuantization q = random_quantization(random);
        const int32_t from_low = from == LutType::s8 ? -128 : 0;
        const int32_t to_low = to == LutType::s8 ? -128 : 0;
        q.input_zero_point += from_low + 128;
        q.output_zero_point += to_low + 128;
        Table table(kLutSize);
        ASSERT_TRUE(make_requantize_lut(q, from, to, table.data()));
        const Multiplier m = quantize_multiplier(double{q.input_scale} / double{q.output_scale});
        for (int32_t x = from_low; x < from_low + 256; ++x) {
          const int32_t y =
              multiply_by_quantized_multiplier(x - q.input_zero_point, m) + q.output_zero_point;
          ASSERT_EQ(table[x & 255], clamp(y, to_low, to_low + 255) & 255);
        }
      }
    }
  }
}

TEST(Lut, RefusesWhatTheReferenceRefuses) {
  Table table(kLutSize);
  EXPECT_TRUE(make_logistic_lut({0.1f, 1.0f / 256, 0, -128}, table.data()));
  EXPECT_FALSE(make_logistic_lut({0.1f, 1.0f / 255, 0, -128}, table.data()));
  EXPECT_FALSE(make_logistic_lut({NAN, 1.0f / 256, 0, -128}, table.data()));
  EXPECT_FALSE(make_relu_lut({1.0f, 0.0f, 0, 0}, table.data()));
  EXPECT_FALSE(make_relu_lut({1e30f, 1e-5f, 0, 0}, table.data()));
  EXPECT_FALSE(make_relu6_lut({1e-10f, 1e-10f, 0, 0}, table.data()));  // 6 has no int32 step
  EXPECT_FALSE(make_requantize_lut({-1.0f, 1.0f, 0, 0}, LutType::s8, LutType::s8, table.data()));
  EXPECT_FALSE(make_tanh_lut({0.1f, -1.0f, 0, 0}, table.data()));
  EXPECT_FALSE(make_gelu_lut({3e38f, 1.0f, 0, 0}, false, table.data()));  // -inf * 0
  EXPECT_FALSE(make_leaky_relu_lut({1.0f, 1.0f, 0, 0}, NAN, table.data()));
  EXPECT_FALSE(make_hard_swish_lut({128.0f, 1.0f, 0, 0}, table.data()));
  EXPECT_FALSE(make_rsqrt_lut({1.0f, 1.0f, -127, 0}, table.data()));
  LutParams params;
  EXPECT_FALSE(make_lut_params(table.data(), 0, arch::supported(), &params));
}

}  // namespace
}  // namespace int8x
