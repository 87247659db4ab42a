// delegate/fixed_point/requantize.h against exact arithmetic in 128 bits that shares no formula
// with it.

#include "delegate/fixed_point/requantize.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace int8x {
namespace {

__extension__ typedef __int128 Wide;

constexpr int32_t kMin = std::numeric_limits<int32_t>::min();
constexpr int32_t kMax = std::numeric_limits<int32_t>::max();
constexpr uint32_t kSeed = 20240229;

// The integer nearest to numerator / 2^bits, found by its distance; `away` decides a tie by
// magnitude, else upwards.
Wide nearest(Wide numerator, int bits, bool away) {
  const Wide one = Wide{1} << bits;
  Wide below = numerator / one;
  if (below * one > numerator) --below;
  const Wide to_below = numerator - below * one;
  const Wide to_above = one - to_below;
  if (to_below != to_above) return to_below < to_above ? below : below + 1;
  return away && numerator < 0 ? below : below + 1;
}

int32_t exact_high_mul(int32_t a, int32_t b) {
  if (a == kMin && b == kMin) return kMax;
  return static_cast<int32_t>(nearest(Wide{a} * b, 31, false));
}

int32_t exact_divide(int32_t x, int exponent) {
  return static_cast<int32_t>(nearest(x, exponent, true));
}

int32_t exact_multiply(int32_t x, Multiplier m) {
  Wide shifted = x;
  for (int i = 0; i < m.shift; ++i) shifted *= 2;
  shifted &= (Wide{1} << 32) - 1;
  if (shifted > kMax) shifted -= Wide{1} << 32;
  const int32_t high = exact_high_mul(static_cast<int32_t>(shifted), m.multiplier);
  return m.shift < 0 ? exact_divide(high, -m.shift) : high;
}

// Every power of two, its neighbours, their negatives, the ends of the range.
std::vector<int32_t> edges() {
  std::vector<int32_t> values = {0, kMin, kMin + 1, kMax, kMax - 1};
  for (int bit = 0; bit < 31; ++bit) {
    for (int step : {-1, 0, 1}) {
      const int32_t value = static_cast<int32_t>((int64_t{1} << bit) + step);
      values.push_back(value);
      values.push_back(-value);
    }
  }
  return values;
}

std::vector<int32_t> multipliers() {
  return {0,          1 << 30, (1 << 30) + 1, (1 << 30) + 12345, 1431655765,
          1500000001, 3 << 29, kMax - 65536,  kMax - 1,          kMax};
}

TEST(HighMul, IsTheNearestIntegerAndTiesGoUpAtEveryEdge) {
  for (int32_t a : edges()) {
    for (int32_t b : edges()) {
      ASSERT_EQ(saturating_rounding_doubling_high_mul(a, b), exact_high_mul(a, b)) << a << " " << b;
    }
  }
}

TEST(HighMul, RoundsTiesTowardsPlusInfinity) {
  ASSERT_EQ(saturating_rounding_doubling_high_mul(1, 1 << 30), 1);    // 0.5
  ASSERT_EQ(saturating_rounding_doubling_high_mul(-1, 1 << 30), 0);   // -0.5
  ASSERT_EQ(saturating_rounding_doubling_high_mul(3, 1 << 30), 2);    // 1.5
  ASSERT_EQ(saturating_rounding_doubling_high_mul(-3, 1 << 30), -1);  // -1.5
}

TEST(HighMul, SaturatesOnlyWhereBothAreTheLeastInteger) {
  ASSERT_EQ(saturating_rounding_doubling_high_mul(kMin, kMin), kMax);
  ASSERT_EQ(saturating_rounding_doubling_high_mul(kMin, kMax), kMin + 1);
  ASSERT_EQ(saturating_rounding_doubling_high_mul(kMin, kMin + 1), kMax);
}

TEST(DivideByPowerOfTwo, IsTheNearestIntegerAndTiesGoAwayFromZeroAtEveryEdge) {
  for (int exponent = 0; exponent <= 31; ++exponent) {
    for (int32_t x : edges()) {
      ASSERT_EQ(rounding_divide_by_pot(x, exponent), exact_divide(x, exponent))
          << x << " >> " << exponent;
    }
  }
}

TEST(DivideByPowerOfTwo, RoundsTiesAwayFromZero) {
  ASSERT_EQ(rounding_divide_by_pot(6, 2), 2);
  ASSERT_EQ(rounding_divide_by_pot(-6, 2), -2);
  ASSERT_EQ(rounding_divide_by_pot(1, 1), 1);
  ASSERT_EQ(rounding_divide_by_pot(-1, 1), -1);
  ASSERT_EQ(rounding_divide_by_pot(kMin, 31), -1);
  ASSERT_EQ(rounding_divide_by_pot(1 << 30, 31), 1);
}

TEST(Multiply, EqualsExactArithmeticForEveryShiftAtEveryEdge) {
  for (int shift = -31; shift <= 30; ++shift) {
    for (int32_t multiplier : multipliers()) {
      for (int32_t x : edges()) {
        const Multiplier m = {multiplier, shift};
        ASSERT_EQ(multiply_by_quantized_multiplier(x, m), exact_multiply(x, m))
            << x << " * " << multiplier << " shift " << shift;
      }
    }
  }
}

// Both roundings at a tie: x * 2^30 / 2^31 = x / 2, then the shift.
TEST(Multiply, EqualsExactArithmeticOnConsecutiveIntegersWhereTiesAreDense) {
  for (int shift = -8; shift <= 0; ++shift) {
    for (int32_t multiplier : multipliers()) {
      for (int32_t x = -2000; x <= 2000; ++x) {
        const Multiplier m = {multiplier, shift};
        ASSERT_EQ(multiply_by_quantized_multiplier(x, m), exact_multiply(x, m))
            << x << " * " << multiplier << " shift " << shift;
      }
    }
  }
}

TEST(Multiply, RoundsTwice) {
  // 3 / 8 = 0.375 is nearest to 0, yet 3 / 2 rounds to 2 and 2 / 4 to 1.
  ASSERT_EQ(multiply_by_quantized_multiplier(3, {1 << 30, -2}), 1);
}

TEST(Multiply, LeftShiftWrapsIn32Bits) {
  ASSERT_EQ(multiply_by_quantized_multiplier(1 << 30, {1 << 30, 2}), 0);
  ASSERT_EQ(multiply_by_quantized_multiplier(1 << 30, {1 << 30, 1}), -(1 << 30));
}

TEST(Multiply, EqualsExactArithmeticOnRandomValues) {
  SCOPED_TRACE(kSeed);
  std::mt19937 random(kSeed);
  for (int i = 0; i < 200000; ++i) {
    const int32_t x = static_cast<int32_t>(random()) >> (random() % 32);
    const int32_t multiplier = static_cast<int32_t>((1u << 30) + random() % (1u << 30));
    const Multiplier m = {multiplier, static_cast<int32_t>(random() % 62) - 31};
    ASSERT_EQ(multiply_by_quantized_multiplier(x, m), exact_multiply(x, m))
        << x << " * " << m.multiplier << " shift " << m.shift;
  }
}

// The same number from the bits of the double: significand * 2^(exponent - 53), significand in
// [2^52, 2^53).
Multiplier exact_quantize(double d) {
  uint64_t bits;
  std::memcpy(&bits, &d, sizeof(bits));
  const int64_t significand =
      static_cast<int64_t>((bits & ((uint64_t{1} << 52) - 1)) | (uint64_t{1} << 52));
  int exponent = static_cast<int>(bits >> 52) - 1022;
  int64_t multiplier = (significand + (int64_t{1} << 21)) >> 22;  // positive: half up is half away
  if (multiplier >> 31) {
    multiplier >>= 1;
    ++exponent;
  }
  if (exponent < -31) return {0, 0};
  return {static_cast<int32_t>(multiplier), exponent};
}

void expect_quantizes_exactly(double d) {
  const Multiplier got = quantize_multiplier(d);
  const Multiplier wanted = exact_quantize(d);
  ASSERT_EQ(got.multiplier, wanted.multiplier) << d;
  ASSERT_EQ(got.shift, wanted.shift) << d;
}

void expect_multiplier(double d, int32_t multiplier, int32_t shift) {
  const Multiplier got = quantize_multiplier(d);
  ASSERT_EQ(got.multiplier, multiplier) << d;
  ASSERT_EQ(got.shift, shift) << d;
}

TEST(QuantizeMultiplier, KeepsPowersOfTwoExactly) {
  for (int e = -31; e <= 30; ++e) expect_multiplier(std::ldexp(0.5, e), 1 << 30, e);
}

TEST(QuantizeMultiplier, JustBelowAPowerOfTwoRoundsUpToIt) {
  expect_multiplier(std::nextafter(1.0, 0.0), 1 << 30, 1);
  expect_multiplier(1.0 - std::ldexp(1.0, -32), 1 << 30, 1);  // a tie, away from zero
  expect_multiplier(1.0 - std::ldexp(1.5, -32), kMax, 0);     // nearer to 2^31 - 1
}

TEST(QuantizeMultiplier, ZeroAndWhatIsTooSmallGiveZero) {
  expect_multiplier(0.0, 0, 0);
  expect_multiplier(std::numeric_limits<double>::denorm_min(), 0, 0);
  expect_multiplier(std::numeric_limits<double>::min(), 0, 0);
  expect_multiplier(std::ldexp(0.5, -32), 0, 0);
  expect_multiplier(std::ldexp(0.999, -32), 0, 0);
}

TEST(QuantizeMultiplier, WhatRoundsUpToTheSmallestStaysThere) {
  expect_multiplier(std::nextafter(std::ldexp(0.5, -31), 0.0), 1 << 30, -31);
}

TEST(QuantizeMultiplier, EqualsIntegerArithmeticOnTheDoublesBits) {
  SCOPED_TRACE(kSeed);
  std::mt19937_64 random(kSeed);
  std::uniform_real_distribution<double> fraction(0.5, 1.0);
  for (int i = 0; i < 100000; ++i) {
    const int exponent = static_cast<int>(random() % 66) - 35;
    expect_quantizes_exactly(std::ldexp(fraction(random), exponent));
  }
}

TEST(QuantizeMultiplier, EqualsIntegerArithmeticAtTies) {
  for (int64_t k = 0; k < 4000; ++k) {
    const double tie =
        static_cast<double>((int64_t{1} << 30) + k * 268435 % (int64_t{1} << 30)) + 0.5;
    for (double d : {std::nextafter(tie, 0.0), tie, std::nextafter(tie, 1e300)}) {
      expect_quantizes_exactly(std::ldexp(d, -31));
    }
  }
}

TEST(WrappingAdd, WrapsIn32Bits) {
  ASSERT_EQ(wrapping_add(kMax, 1), kMin);
  ASSERT_EQ(wrapping_add(kMin, -1), kMax);
  ASSERT_EQ(wrapping_add(kMin, kMin), 0);
  ASSERT_EQ(wrapping_add(-5, 3), -2);
}

TEST(Clamp, HoldsBothEnds) {
  ASSERT_EQ(clamp(127, -128, 127), 127);
  ASSERT_EQ(clamp(128, -128, 127), 127);
  ASSERT_EQ(clamp(-129, -128, 127), -128);
  ASSERT_EQ(clamp(kMin, -128, 127), -128);
  ASSERT_EQ(clamp(5, -128, 127), 5);
}

}  // namespace
}  // namespace int8x
