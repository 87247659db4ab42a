// BATCH_MATMUL equals plain loops with every GEMM kernel, however its sides lie and its batches
// meet.

#include "delegate/kernels/batch_matmul/batch_matmul.h"
#include "tests/kernel_test.h"

namespace int8x {
namespace {

std::vector<int8_t> by_definition(const BatchMatmulParams& p, const std::vector<int8_t>& lhs,
                                  const std::vector<int8_t>& rhs) {
  const BatchMatmulShape& s = p.shape;
  std::vector<int8_t> output;
  for (size_t b = 0; b < s.lhs_batch.size(); ++b) {
    for (int i = 0; i < s.m; ++i) {
      for (int j = 0; j < s.n; ++j) {
        int32_t sum = 0;
        for (int k = 0; k < s.k; ++k) {
          const int64_t at_lhs = s.lhs_transposed ? int64_t{k} * s.m + i : int64_t{i} * s.k + k;
          const int64_t at_rhs = s.rhs_transposed ? int64_t{j} * s.k + k : int64_t{k} * s.n + j;
          sum += (lhs[static_cast<size_t>(s.lhs_batch[b] + at_lhs)] - p.lhs_zero_point) *
                 (rhs[static_cast<size_t>(s.rhs_batch[b] + at_rhs)] - p.rhs_zero_point);
        }
        const int32_t y =
            wrapping_add(multiply_by_quantized_multiplier(sum, p.multiplier), p.output_zero_point);
        output.push_back(static_cast<int8_t>(clamp(y, -128, 127)));
      }
    }
  }
  return output;
}

void expect_every_arch(const BatchMatmulShape& shape, Random& random) {
  const int64_t lhs_matrix = int64_t{shape.m} * shape.k, rhs_matrix = int64_t{shape.n} * shape.k;
  const std::vector<int8_t> lhs = random.bytes(shape.lhs_batch.back() + lhs_matrix);
  const std::vector<int8_t> rhs = random.bytes(shape.rhs_batch.back() + rhs_matrix);
  const auto zero = [&] { return random.pick({-128, 127, 0, random.integer(-128, 127)}); };
  const int32_t lhs_zero = zero(), rhs_zero = zero(), output_zero = zero();
  const double scale = std::ldexp(random.real(0.5f, 1.0f), random.integer(-14, 0));
  for (int arch = 0; arch < 32; ++arch) {
    if (!arch::has(arch::supported(), static_cast<arch::Arch>(arch))) continue;
    const arch::ArchSet only = arch::bit(static_cast<arch::Arch>(arch));
    BatchMatmulParams params;
    ASSERT_TRUE(make_batch_matmul_params(shape, quantize_multiplier(scale), lhs_zero, rhs_zero,
                                         output_zero, only, &params));
    const std::vector<int8_t> wanted = by_definition(params, lhs, rhs);
    std::vector<int8_t> output(wanted.size() + 64, 85);
    const size_t bytes = batch_matmul_scratch_bytes(params);
    void* scratch = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
    for (int64_t tile = batch_matmul_tiles(params) - 1; tile >= 0; --tile) {
      batch_matmul_run(params, lhs.data(), rhs.data(), output.data(), tile, tile + 1, scratch);
    }
    std::free(scratch);
    for (size_t k = wanted.size(); k < output.size(); ++k) ASSERT_EQ(output[k], 85);
    output.resize(wanted.size());
    ASSERT_EQ(output, wanted) << batch_matmul_kernel_name(params) << " " << shape.m << "x"
                              << shape.n << "x" << shape.k;
  }
}

TEST(BatchMatmul, EqualsTheDefinition) {
  std::printf("seed %u\n", kSeed);
  Random random;
  for (int round = 0; round < 300; ++round) {
    BatchMatmulShape shape;
    shape.m = random.pick({1, 2, 15, 17, 33, 97, 200});
    shape.n = random.pick({1, 3, 15, 16, 17, 33, 64, 65});
    shape.k = random.pick({1, 3, 4, 5, 16, 31, 64, 65, 130});
    shape.lhs_transposed = random.chance(50);
    shape.rhs_transposed = random.chance(50);
    const bool share_lhs = random.chance(30), share_rhs = random.chance(30);
    for (int64_t b = 0; b < random.integer(1, 3); ++b) {
      shape.lhs_batch.push_back(share_lhs ? 0 : b * shape.m * shape.k);
      shape.rhs_batch.push_back(share_rhs ? 0 : b * shape.n * shape.k);
    }
    expect_every_arch(shape, random);
    if (HasFatalFailure()) return;
  }
}

TEST(BatchMatmul, RefusesWhatHasNoMeaning) {
  BatchMatmulParams params;
  const auto made = [&](const BatchMatmulShape& shape) {
    return make_batch_matmul_params(shape, {1 << 30, 0}, 0, 0, 0, arch::supported(), &params);
  };
  EXPECT_TRUE(made({1, 1, 1, false, false, {0}, {0}}));
  EXPECT_FALSE(made({0, 1, 1, false, false, {0}, {0}}));
  EXPECT_FALSE(made({1, 1, 1, false, false, {}, {}}));
  EXPECT_FALSE(made({1, 1, 1, false, false, {0, 1}, {0}}));
}

}  // namespace
}  // namespace int8x
