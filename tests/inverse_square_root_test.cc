// The Newton steps reach 1 / sqrt(x) to 19 bits, for small and
// large x.

#include "delegate/fixed_point/inverse_square_root.h"

#include <cmath>
#include <cstdio>
#include <random>

#include "gtest/gtest.h"

namespace int8x {
namespace {

void expect_near(int32_t x) {
  const Multiplier m = inverse_square_root(x);
  ASSERT_LE(m.shift, 0) << x;
  const double got = std::ldexp(static_cast<double>(m.multiplier), m.shift - 31);
  // Five steps from 1, each squaring the error and multiplying it by 3/2, leave 1.3e-6 at x = 2.
  ASSERT_LE(std::abs(got * std::sqrt(static_cast<double>(x)) - 1), std::ldexp(1.0, -19)) << x;
}

TEST(InverseSquareRoot, IsCloseForEverySmallAndManyLargeValues) {
  for (int32_t x = 1; x < 70000; ++x) expect_near(x);
  constexpr unsigned kSeed = 5;
  std::printf("seed %u\n", kSeed);
  std::mt19937 rng(kSeed);
  for (int round = 0; round < 100000; ++round) {
    expect_near(std::max(1, static_cast<int32_t>(rng() >> (1 + rng() % 20))));
  }
  for (int32_t x : {INT32_MAX, 1 << 29, (1 << 29) - 1, 1 << 30}) expect_near(x);
}

TEST(InverseSquareRoot, OfZeroAndOneIsTheLargestMultiplier) {
  for (int32_t x : {0, 1}) {
    EXPECT_EQ(inverse_square_root(x).multiplier, INT32_MAX);
    EXPECT_EQ(inverse_square_root(x).shift, 0);
  }
}

}  // namespace
}  // namespace int8x
