// Every ADD, SUB and MUL kernel equals plain loops over numpy-like broadcasting, in any division
// into tiles; and broadcasting walks as it should.

#include "delegate/fixed_point/requantize.h"
#include "delegate/kernels/elementwise/add.h"
#include "delegate/kernels/elementwise/mul.h"
#include "tests/kernel_test.h"

namespace int8x {
namespace {

using Dims = std::vector<int32_t>;

int64_t size_of(const Dims& dims) {
  int64_t size = 1;
  for (int32_t n : dims) size *= n;
  return size;
}

// The shapes of every way in which operands meet, with rows around the vectors' lengths.
std::vector<std::pair<Dims, Dims>> shapes() {
  std::vector<std::pair<Dims, Dims>> out = {
      {{}, {}},
      {{1}, {1}},
      {{2, 3, 5}, {2, 3, 5}},
      {{1, 7, 9, 24}, {24}},
      {{24}, {1, 7, 9, 24}},
      {{1, 7, 9, 24}, {1, 1, 1, 1}},
      {{1}, {2, 5, 33}},
      {{2, 1, 9, 33}, {1, 7, 1, 33}},
      {{3, 1, 5, 1}, {1, 4, 1, 6}},
      {{2, 7, 9, 1}, {2, 7, 9, 70}},
      {{2, 7, 9, 16}, {2, 1, 1, 16}},
      {{2, 1, 3, 1, 2, 1}, {1, 3, 1, 4, 1, 5}},
      {{17000}, {17000}},
      {{2, 3, 700, 24}, {2, 1, 1, 24}},
      {{2, 1, 1, 3}, {2, 3, 900, 3}},
      {{130, 1}, {1, 131}},
      {{2, 17000}, {17000}},
  };
  for (int32_t n : {1, 3, 4, 15, 16, 17, 31, 32, 33, 35, 63, 64, 65, 67, 131}) {
    out.push_back({{n}, {n}});
    out.push_back({{2, n}, {n}});
    out.push_back({{n}, {1}});
  }
  return out;
}

// The element of an operand that output index i reads, by definition.
int64_t element_of(const Dims& operand, const Dims& output, int64_t i) {
  int64_t at = 0, stride = 1;
  for (size_t k = 0; k < output.size(); ++k) {
    const size_t axis = output.size() - 1 - k;
    const int64_t position = i % output[axis];
    i /= output[axis];
    if (k >= operand.size()) continue;
    const int32_t extent = operand[operand.size() - 1 - k];
    if (extent != 1) at += position * stride;
    stride *= extent;
  }
  return at;
}

Dims output_of(const Dims& a, const Dims& b) {
  Dims out(std::max(a.size(), b.size()), 1);
  for (size_t k = 0; k < out.size(); ++k) {
    if (k < a.size()) out[out.size() - 1 - k] = a[a.size() - 1 - k];
    if (k < b.size() && b[b.size() - 1 - k] != 1) out[out.size() - 1 - k] = b[b.size() - 1 - k];
  }
  return out;
}

TEST(Broadcast, EqualShapesBecomeOneAxis) {
  const Dims dims = {2, 3, 4, 5};
  Broadcast shape;
  ASSERT_TRUE(make_broadcast(dims.data(), 4, dims.data(), 4, &shape));
  EXPECT_EQ(shape.rank, 1);
  EXPECT_EQ(shape.extent[0], 120);
  EXPECT_EQ(shape.lhs_stride[0], 1);
  EXPECT_EQ(shape.rhs_stride[0], 1);
}

TEST(Broadcast, RefusesShapesThatDoNotMeet) {
  Broadcast shape;
  const Dims a = {2, 3}, b = {4, 3}, zero = {0, 3}, seven = {2, 1, 1, 1, 1, 1, 3};
  EXPECT_FALSE(make_broadcast(a.data(), 2, b.data(), 2, &shape));
  EXPECT_FALSE(make_broadcast(a.data(), 2, zero.data(), 2, &shape));
  EXPECT_FALSE(make_broadcast(a.data(), 2, seven.data(), 7, &shape));
}

TEST(Broadcast, RunsReadTheElementsThatTheDefinitionNames) {
  for (const auto& [lhs, rhs] : shapes()) {
    Broadcast shape;
    ASSERT_TRUE(make_broadcast(lhs.data(), static_cast<int>(lhs.size()), rhs.data(),
                               static_cast<int>(rhs.size()), &shape));
    const Dims output = output_of(lhs, rhs);
    ASSERT_EQ(shape.size, size_of(output));
    const int last = shape.rank - 1;
    for (int64_t at = 0; at < shape.size;) {
      const BroadcastRun run = broadcast_run_at(shape, at, shape.size);
      ASSERT_GT(run.count, 0);
      for (int64_t i = 0; i < run.count; ++i, ++at) {
        ASSERT_EQ(run.lhs_offset + i * shape.lhs_stride[last], element_of(lhs, output, at));
        ASSERT_EQ(run.rhs_offset + i * shape.rhs_stride[last], element_of(rhs, output, at));
      }
    }
  }
}

// Tiles one by one from the last to the first.
template <typename Params, typename Run>
std::vector<int8_t> run_tiles(const Params& params, int64_t tiles, Run run,
                              const std::vector<int8_t>& lhs, const std::vector<int8_t>& rhs) {
  std::vector<int8_t> output(static_cast<size_t>(params.shape.size) + 64, 85);
  for (int64_t tile = tiles - 1; tile >= 0; --tile) {
    run(params, lhs.data(), rhs.data(), output.data(), tile, tile + 1, nullptr);
  }
  for (size_t i = output.size() - 64; i < output.size(); ++i) EXPECT_EQ(output[i], 85);
  output.resize(static_cast<size_t>(params.shape.size));
  return output;
}

struct Quantization {
  float lhs_scale, rhs_scale, output_scale;
  int32_t lhs_zero, rhs_zero, output_zero, min, max;
};

Quantization random_quantization(Random& random) {
  Quantization q;
  q.lhs_scale = random.scale(-8, 2);
  q.rhs_scale = random.chance(30) ? q.lhs_scale : random.scale(-8, 2);
  q.lhs_zero = random.pick({-128, 127, 0, random.integer(-128, 127)});
  q.rhs_zero = random.pick({-128, 127, 0, random.integer(-128, 127)});
  q.output_zero = random.pick({-128, 127, 0, random.integer(-128, 127)});
  q.min = random.chance(50) ? -128 : q.output_zero;
  q.max = random.chance(50) ? 127 : random.integer(q.min, 127);
  return q;
}

TEST(Add, EveryKernelEqualsTheFormula) {
  std::printf("seed %u\n", kSeed);
  Random random;
  const auto kernels = runnable(add_kernels());
  for (int round = 0; round < 12; ++round) {
    for (const auto& [lhs_dims, rhs_dims] : shapes()) {
      Quantization q = random_quantization(random);
      const float larger = std::max(q.lhs_scale, q.rhs_scale);
      q.output_scale = random.chance(50) ? larger * random.pick({1, 2, 4}) : random.scale(-12, 2);
      if (larger / 524288.0f >= q.output_scale) q.output_scale = larger;
      AddParams params;
      ASSERT_TRUE(make_add_params({q.lhs_scale, q.rhs_scale, q.output_scale, q.lhs_zero, q.rhs_zero,
                                   q.output_zero, q.min, q.max, round % 2 == 1},
                                  lhs_dims.data(), static_cast<int>(lhs_dims.size()),
                                  rhs_dims.data(), static_cast<int>(rhs_dims.size()),
                                  arch::supported(), &params));
      EXPECT_STREQ(add_kernel_name(params), first_name(add_kernels(), arch::supported()));
      const std::vector<int8_t> lhs = random.bytes(size_of(lhs_dims));
      const std::vector<int8_t> rhs = random.bytes(size_of(rhs_dims));
      const Dims output = output_of(lhs_dims, rhs_dims);
      std::vector<int8_t> wanted;
      for (int64_t i = 0; i < size_of(output); ++i) {
        const int32_t a = lhs[static_cast<size_t>(element_of(lhs_dims, output, i))] - q.lhs_zero;
        const int32_t b = rhs[static_cast<size_t>(element_of(rhs_dims, output, i))] - q.rhs_zero;
        const int32_t x = multiply_by_quantized_multiplier(a * (1 << 20), params.lhs);
        const int32_t z = multiply_by_quantized_multiplier(b * (1 << 20), params.rhs);
        const int32_t sum = round % 2 == 1 ? x - z : x + z;
        const int32_t y = multiply_by_quantized_multiplier(sum, params.output) + q.output_zero;
        wanted.push_back(static_cast<int8_t>(clamp(y, q.min, q.max)));
      }
      for (const AddKernel* kernel : kernels) {
        params.kernel = kernel;
        ASSERT_EQ(run_tiles(params, add_tiles(params), add_run, lhs, rhs), wanted) << kernel->name;
      }
    }
  }
}

TEST(Add, EveryPairOfValuesAtScalesThatTie) {
  std::vector<int8_t> all, repeated;
  for (int i = -128; i < 128; ++i) {
    for (int j = -128; j < 128; ++j) {
      all.push_back(static_cast<int8_t>(i));
      repeated.push_back(static_cast<int8_t>(j));
    }
  }
  const Dims dims = {256, 256};
  // The smaller scale from equal to so small that its multiplier is 0; with and without RELU.
  for (float smaller : {0.5f, 0.49f, 0.25f, 0.3f, 0.01f, 1e-5f, 1e-7f, 1e-9f, 1e-11f}) {
    for (float output_scale : {0.25f, 0.5f, 0.75f, 1.0f, 2.0f, 4.0f, 1.0f / 3}) {
      for (int32_t min : {-128, 1}) {
        AddParams params;
        ASSERT_TRUE(make_add_params({0.5f, smaller, output_scale, 3, -7, 1, min, 127}, dims.data(),
                                    2, dims.data(), 2, arch::supported(), &params));
        std::vector<std::vector<int8_t>> outputs;
        for (const AddKernel* kernel : runnable(add_kernels())) {
          params.kernel = kernel;
          outputs.push_back(run_tiles(params, add_tiles(params), add_run, all, repeated));
          ASSERT_EQ(outputs.back(), outputs.front()) << kernel->name << " " << smaller;
        }
      }
    }
  }
}

// But for scales whose sums fall on ties nearly every ADD and SUB is exactly one line over its
// operands.
TEST(Add, IsOneLineAtMostScales) {
  std::printf("seed %u\n", kSeed);
  Random random;
  std::vector<int8_t> all, repeated;
  for (int i = -128; i < 128; ++i) {
    for (int j = -128; j < 128; ++j) {
      all.push_back(static_cast<int8_t>(i));
      repeated.push_back(static_cast<int8_t>(j));
    }
  }
  const Dims dims = {256, 256};
  const int rounds = 60;
  int lines = 0, kernels_with_lines = 0;
  for (int round = 0; round < rounds; ++round) {
    const float larger = random.real(0.01f, 0.5f);
    const float smaller = larger * random.real(0.05f, 1.0f);
    const float output = larger * random.real(0.3f, 2.0f);
    const bool swapped = random.chance(50), rectified = random.chance(50);
    const int32_t zero = rectified ? -128 : random.integer(-100, 100);
    const AddQuantization q = {swapped ? smaller : larger,
                               swapped ? larger : smaller,
                               output,
                               random.integer(-128, 127),
                               random.integer(-128, 127),
                               zero,
                               rectified ? zero : -128,
                               127,
                               round % 3 == 0};
    std::vector<int8_t> wanted;
    const auto kernels = runnable(add_kernels());
    for (auto kernel = kernels.rbegin(); kernel != kernels.rend(); ++kernel) {
      AddParams params;
      const arch::ArchSet archs = arch::bit((*kernel)->arch) | arch::bit(arch::reference);
      ASSERT_TRUE(make_add_params(q, dims.data(), 2, dims.data(), 2, archs, &params));
      const std::vector<int8_t> given =
          run_tiles(params, add_tiles(params), add_run, all, repeated);
      if (wanted.empty()) wanted = given;  // the reference is last
      ASSERT_EQ(given, wanted) << (*kernel)->name << " round " << round;
      kernels_with_lines += (*kernel)->takes_line;
      lines += params.line.exact;
    }
  }
  EXPECT_GE(lines, kernels_with_lines * 9 / 10);
}

TEST(Add, RefusesWhatTheReferenceAbortsOn) {
  const Dims dims = {4};
  AddParams params;
  auto made = [&](float lhs, float rhs, float output) {
    return make_add_params({lhs, rhs, output, 0, 0, 0, -128, 127}, dims.data(), 1, dims.data(), 1,
                           arch::supported(), &params);
  };
  EXPECT_TRUE(made(1.0f, 0.5f, 1.0f));
  EXPECT_FALSE(made(1.0f, 0.5f, 1.0f / 524288));  // the output multiplier would be 1
  EXPECT_TRUE(made(1.0f, 0.5f, 1.0f / 524287));
  EXPECT_FALSE(made(0.0f, 0.5f, 1.0f));
  EXPECT_FALSE(made(1.0f, -0.5f, 1.0f));
  EXPECT_FALSE(made(1.0f, 0.5f, NAN));
  EXPECT_FALSE(made(3e38f, 0.5f, 1.0f));
}

TEST(Mul, EveryKernelEqualsTheFormula) {
  std::printf("seed %u\n", kSeed);
  Random random;
  const auto kernels = runnable(mul_kernels());
  for (int round = 0; round < 12; ++round) {
    for (const auto& [lhs_dims, rhs_dims] : shapes()) {
      Quantization q = random_quantization(random);
      // From multipliers that shift left far out of int32 to ones that leave nothing.
      q.output_scale = random.chance(70)
                           ? q.lhs_scale * q.rhs_scale * std::ldexp(1.0f, random.integer(-2, 8))
                           : random.scale(-20, 8);
      MulParams params;
      ASSERT_TRUE(make_mul_params({q.lhs_scale, q.rhs_scale, q.output_scale, q.lhs_zero, q.rhs_zero,
                                   q.output_zero, q.min, q.max},
                                  lhs_dims.data(), static_cast<int>(lhs_dims.size()),
                                  rhs_dims.data(), static_cast<int>(rhs_dims.size()),
                                  arch::supported(), &params))
          << q.lhs_scale << " " << q.rhs_scale << " " << q.output_scale;
      EXPECT_STREQ(mul_kernel_name(params), first_name(mul_kernels(), arch::supported()));
      const std::vector<int8_t> lhs = random.bytes(size_of(lhs_dims));
      const std::vector<int8_t> rhs = random.bytes(size_of(rhs_dims));
      const Dims output = output_of(lhs_dims, rhs_dims);
      std::vector<int8_t> wanted;
      for (int64_t i = 0; i < size_of(output); ++i) {
        const int32_t a = lhs[static_cast<size_t>(element_of(lhs_dims, output, i))] - q.lhs_zero;
        const int32_t b = rhs[static_cast<size_t>(element_of(rhs_dims, output, i))] - q.rhs_zero;
        const int32_t y =
            wrapping_add(multiply_by_quantized_multiplier(a * b, params.output), q.output_zero);
        wanted.push_back(static_cast<int8_t>(clamp(y, q.min, q.max)));
      }
      for (const MulKernel* kernel : kernels) {
        params.kernel = kernel;
        ASSERT_EQ(run_tiles(params, mul_tiles(params), mul_run, lhs, rhs), wanted) << kernel->name;
      }
    }
  }
}

TEST(Mul, RefusesMultipliersThatAreNone) {
  const Dims dims = {4};
  MulParams params;
  auto made = [&](float lhs, float rhs, float output) {
    return make_mul_params({lhs, rhs, output, 0, 0, 0, -128, 127}, dims.data(), 1, dims.data(), 1,
                           arch::supported(), &params);
  };
  EXPECT_TRUE(made(1.0f, 0.5f, 1.0f));
  EXPECT_FALSE(made(1e30f, 1e30f, 1.0f));
  EXPECT_FALSE(made(1.0f, 1.0f, 1e-30f));
  EXPECT_FALSE(made(0.0f, 1.0f, 1.0f));
}

}  // namespace
}  // namespace int8x
