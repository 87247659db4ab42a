// delegate/quantization: exact sums against integers, rounding ties of affine grids.

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
