// Every MAXIMUM, MINIMUM, SQUARED_DIFFERENCE and PRELU kernel equals plain loops, for every pair of
// int8 values and every way in which operands meet.

#include "delegate/fixed_point/requantize.h"
#include "delegate/kernels/elementwise/binary.h"
#include "tests/kernel_test.h"

namespace int8x {
namespace {

using Dims = std::vector<int32_t>;

constexpr BinaryKind kKinds[] = {BinaryKind::maximum, BinaryKind::minimum,
                                 BinaryKind::squared_difference, BinaryKind::prelu};

BinaryQuantization random_quantization(Random& random, BinaryKind kind) {
  BinaryQuantization q;
  q.lhs_scale = random.scale(-8, 2);
  q.lhs_zero_point = random.pick({-128, 127, 0, random.integer(-128, 127)});
  if (kind == BinaryKind::maximum || kind == BinaryKind::minimum) {
    return {q.lhs_scale,      q.lhs_scale,      q.lhs_scale,
            q.lhs_zero_point, q.lhs_zero_point, q.lhs_zero_point};
  }
  q.rhs_scale = random.chance(30) ? q.lhs_scale : random.scale(-8, 2);
  q.rhs_zero_point = random.pick({-128, 127, 0, random.integer(-128, 127)});
  q.output_zero_point = random.pick({-128, 127, 0, random.integer(-128, 127)});
  const float larger = std::max(q.lhs_scale, q.rhs_scale);
  if (kind == BinaryKind::squared_difference) {
    q.output_scale =
        larger * larger * std::ldexp(random.chance(50) ? 1.0f : 0.7f, random.integer(-10, 10));
  } else {
    q.output_scale =
        q.lhs_scale * std::ldexp(random.chance(50) ? 1.0f : 0.7f, random.integer(-8, 4));
  }
  return q;
}

int8_t by_definition(BinaryKind kind, const BinaryQuantization& q, int8_t lhs, int8_t rhs) {
  if (kind == BinaryKind::maximum) return std::max(lhs, rhs);
  if (kind == BinaryKind::minimum) return std::min(lhs, rhs);
  const int32_t x = lhs - q.lhs_zero_point, z = rhs - q.rhs_zero_point;
  int32_t y;
  if (kind == BinaryKind::prelu) {
    const float scale =
        x >= 0 ? q.lhs_scale / q.output_scale : q.lhs_scale * q.rhs_scale / q.output_scale;
    y = multiply_by_quantized_multiplier(x >= 0 ? x : x * z, quantize_multiplier(scale));
  } else {
    const double twice = 2.0f * std::max(q.lhs_scale, q.rhs_scale);
    const int32_t d =
        multiply_by_quantized_multiplier(x * 128, quantize_multiplier(q.lhs_scale / twice)) -
        multiply_by_quantized_multiplier(z * 128, quantize_multiplier(q.rhs_scale / twice));
    y = multiply_by_quantized_multiplier(
        d * d, quantize_multiplier(twice * twice / double{16384.0f * q.output_scale}));
  }
  return static_cast<int8_t>(clamp(wrapping_add(y, q.output_zero_point), -128, 127));
}

std::vector<int8_t> run_tiles(const BinaryParams& params, const std::vector<int8_t>& lhs,
                              const std::vector<int8_t>& rhs) {
  std::vector<int8_t> output(static_cast<size_t>(params.shape.size) + 64, 85);
  for (int64_t tile = binary_tiles(params) - 1; tile >= 0; --tile) {
    binary_run(params, lhs.data(), rhs.data(), output.data(), tile, tile + 1, nullptr);
  }
  for (size_t i = output.size() - 64; i < output.size(); ++i) EXPECT_EQ(output[i], 85);
  output.resize(static_cast<size_t>(params.shape.size));
  return output;
}

void expect_every_kernel(BinaryKind kind, const BinaryQuantization& q, const Dims& lhs_dims,
                         const Dims& rhs_dims, const std::vector<int8_t>& lhs,
                         const std::vector<int8_t>& rhs, const std::vector<int8_t>& wanted) {
  BinaryParams params;
  ASSERT_TRUE(make_binary_params(kind, q, lhs_dims.data(), static_cast<int>(lhs_dims.size()),
                                 rhs_dims.data(), static_cast<int>(rhs_dims.size()),
                                 arch::supported(), &params));
  bool best = true;
  for (int i = 0; i < binary_kernels().count; ++i) {
    const BinaryKernel& kernel = binary_kernels().kernels[i];
    if (kernel.kind != kind || !arch::has(arch::supported(), kernel.arch)) continue;
    if (best) {
      ASSERT_EQ(params.kernel, &kernel);
    }
    best = false;
    params.kernel = &kernel;
    ASSERT_EQ(run_tiles(params, lhs, rhs), wanted) << kernel.name;
  }
}

// [256, 256]: all pairs, the right side once as a tensor and once repeated from a row.
TEST(Binary, EveryKernelEqualsTheFormulaForEveryPairOfValues) {
  std::printf("seed %u\n", kSeed);
  runnable(binary_kernels());
  Random random;
  std::vector<int8_t> down, across, row;
  for (int i = -128; i < 128; ++i) row.push_back(static_cast<int8_t>(i));
  for (int8_t i : row) {
    for (int8_t j : row) {
      down.push_back(i);
      across.push_back(j);
    }
  }
  for (BinaryKind kind : kKinds) {
    for (int round = 0; round < 12; ++round) {
      const BinaryQuantization q = random_quantization(random, kind);
      std::vector<int8_t> wanted;
      for (size_t i = 0; i < down.size(); ++i) {
        wanted.push_back(by_definition(kind, q, down[i], across[i]));
      }
      expect_every_kernel(kind, q, {256, 256}, {256, 256}, down, across, wanted);
      expect_every_kernel(kind, q, {256, 256}, {256}, down, row, wanted);
      expect_every_kernel(kind, q, {256, 1}, {256}, row, row, wanted);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Binary, EveryLengthAroundTheVectors) {
  Random random;
  for (BinaryKind kind : kKinds) {
    for (int32_t n : {1, 3, 15, 16, 17, 31, 32, 33, 63, 64, 65, 67, 131, 20000}) {
      const BinaryQuantization q = random_quantization(random, kind);
      const std::vector<int8_t> lhs = random.bytes(2 * n), rhs = random.bytes(n);
      std::vector<int8_t> rows, repeated;
      for (int32_t i = 0; i < 2 * n; ++i) {
        const size_t k = static_cast<size_t>(i);
        rows.push_back(by_definition(kind, q, lhs[k], rhs[k % static_cast<size_t>(n)]));
        repeated.push_back(by_definition(kind, q, lhs[k], rhs[0]));
      }
      expect_every_kernel(kind, q, {2, n}, {n}, lhs, rhs, rows);
      expect_every_kernel(kind, q, {2, n}, {}, lhs, rhs, repeated);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Binary, RefusesWhatTheReferenceRefuses) {
  const Dims dims = {4};
  BinaryParams params;
  const auto made = [&](BinaryKind kind, BinaryQuantization q) {
    return make_binary_params(kind, q, dims.data(), 1, dims.data(), 1, arch::supported(), &params);
  };
  EXPECT_TRUE(made(BinaryKind::maximum, {1, 1, 1, 3, 3, 3}));
  EXPECT_FALSE(made(BinaryKind::maximum, {1, 1, 1, 3, 2, 3}));
  EXPECT_FALSE(made(BinaryKind::minimum, {1, 2, 1, 3, 3, 3}));
  EXPECT_TRUE(made(BinaryKind::squared_difference, {1, 1, 1, 0, 0, 0}));
  EXPECT_FALSE(made(BinaryKind::squared_difference, {64, 1, 1, 0, 0, 0}));  // 2^14 / 2^14
  EXPECT_TRUE(made(BinaryKind::prelu, {1, 1, 1, 0, 0, 0}));
  EXPECT_FALSE(made(BinaryKind::prelu, {1e30f, 1e30f, 1, 0, 0, 0}));
  EXPECT_FALSE(made(BinaryKind::prelu, {1, NAN, 1, 0, 0, 0}));
}

}  // namespace
}  // namespace int8x
