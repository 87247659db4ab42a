// Every requantize kernel equals requantize.h (or std::round in double) in every column, at sizes
// around its vectors, with multipliers that tie, saturate and wrap.

#include <cmath>
#include <cstdio>
#include <random>
#include <vector>

#include "delegate/fixed_point/requantize.h"
#include "delegate/kernels/requantize/requantize.h"
#include "gtest/gtest.h"

namespace int8x {
namespace {

constexpr unsigned kSeed = 20240612;
constexpr int8_t kUntouched = 99;

// Multipliers that make ties common, or shift left, next to ordinary ones.
std::vector<double> real_multipliers(bool narrow) {
  std::vector<double> all = {1.0 / 6, 0.5,      0.25,     1.0 / 256, 1.0 / 1024,
                             0.0,     0.003127, 1e-5,     1.5 / 512, 3.0 / 64,
                             0.75,    1.0 / 3,  0.999999, 2.5e-10,   1e-9};
  if (!narrow) all.insert(all.end(), {1.0, 1.7, 6.0, 1000.5, 3e8, 1e9});
  return all;
}

struct Operands {
  int m, n;
  int64_t c_stride, out_stride;
  std::vector<int32_t> c, bias;
  std::vector<Multiplier> multipliers;
  std::vector<double> scales;
  std::vector<int8_t> out;

  RequantizeBlock block(bool narrow, int32_t zero_point, int32_t min, int32_t max) {
    return {m,      n,          c.data(), c_stride, bias.data(), multipliers.data(), scales.data(),
            narrow, zero_point, min,      max,      out.data(),  out_stride};
  }
};

Operands operands(int m, int n, bool narrow, unsigned seed) {
  std::mt19937 random(seed);
  const int columns = (n + kRequantizeColumns - 1) / kRequantizeColumns * kRequantizeColumns;
  Operands o{m, n, columns + 5, n + 3, {}, {}, {}, {}, {}};
  o.c.resize(m * o.c_stride);
  o.out.assign(m * o.out_stride, kUntouched);
  const std::vector<double> reals = real_multipliers(narrow);
  for (int j = 0; j < columns; ++j) {
    const double real = reals[random() % reals.size()];
    o.scales.push_back(random() % 4 ? real : real * (1 + random() * 1e-10));
    o.multipliers.push_back(quantize_multiplier(std::fmin(o.scales[j], narrow ? 0.9999999 : 1e9)));
    o.bias.push_back(narrow ? static_cast<int>(random() % 2000) - 1000
                            : static_cast<int32_t>(random()));
  }
  const int32_t edges[] = {0, 1, -1, 243, -243, 128, -128, 384, -384, 1 << 29, -(1 << 29)};
  for (int i = 0; i < m; ++i) {
    for (int j = 0; j < columns; ++j) {
      int32_t sum = random() % 2 ? edges[random() % 11] + static_cast<int>(random() % 5) - 2
                                 : static_cast<int32_t>(random()) >> (2 + random() % 29);
      if (!narrow && random() % 4 == 0) sum = random() % 2 ? INT32_MIN : INT32_MAX;
      o.c[i * o.c_stride + j] = wrapping_add(sum, -o.bias[j]);
    }
  }
  return o;
}

void check(const RequantizeKernel& kernel, int m, int n, bool in_double, bool narrow) {
  const int32_t ranges[][3] = {{0, -128, 127}, {-128, -128, 127}, {127, -5, 100}, {-7, -7, 58}};
  for (const auto& range : ranges) {
    SCOPED_TRACE(testing::Message() << kernel.name << " m " << m << " n " << n << " narrow "
                                    << narrow << " zero_point " << range[0]);
    Operands o = operands(m, n, narrow, kSeed + m * 1000 + n);
    kernel.run(o.block(narrow, range[0], range[1], range[2]));
    for (int i = 0; i < m; ++i) {
      for (int j = 0; j < o.out_stride; ++j) {
        const int8_t out = o.out[i * o.out_stride + j];
        if (j >= n) {
          ASSERT_EQ(out, kUntouched) << "row " << i << " column " << j;
          continue;
        }
        const int32_t sum = wrapping_add(o.c[i * o.c_stride + j], o.bias[j]);
        const int32_t scaled = in_double ? round_to_int32(static_cast<double>(sum) * o.scales[j])
                                         : multiply_by_quantized_multiplier(sum, o.multipliers[j]);
        ASSERT_EQ(out, clamp(wrapping_add(scaled, range[0]), range[1], range[2]))
            << "row " << i << " column " << j << " sum " << sum << " scale " << o.scales[j];
      }
    }
  }
}

void check_all(const RequantizeKernel* kernels, int count, bool in_double) {
  for (int k = 0; k < count; ++k) {
    if (!arch::has(arch::supported(), kernels[k].arch)) {
      std::printf("not run on this CPU: %s\n", kernels[k].name);
      continue;
    }
    for (int n : {1, 3, 4, 15, 16, 17, 31, 33, 48, 63, 64, 65, 100, 128, 131}) {
      for (int m : {1, 2, 7, 33}) {
        ASSERT_NO_FATAL_FAILURE(check(kernels[k], m, n, in_double, false));
        if (in_double) continue;
        ASSERT_NO_FATAL_FAILURE(check(kernels[k], m, n, in_double, true));
      }
    }
  }
}

TEST(RequantizeKernel, EveryFixedPointKernelEqualsTheScalarRounding) {
  std::printf("seed %u\n", kSeed);
  int count;
  const RequantizeKernel* kernels = requantize_kernels(&count);
  check_all(kernels, count, false);
}

TEST(RequantizeKernel, EveryDoubleKernelEqualsRoundHalfAway) {
  int count;
  const RequantizeKernel* kernels = requantize_double_kernels(&count);
  check_all(kernels, count, true);
}

TEST(RequantizeKernel, DoubleKernelsRoundTheNeighboursOfOneHalf) {
  int count;
  const RequantizeKernel* kernels = requantize_double_kernels(&count);
  const double below = std::nextafter(0.5, 0.0), above = std::nextafter(0.5, 1.0);
  for (int k = 0; k < count; ++k) {
    if (!arch::has(arch::supported(), kernels[k].arch)) continue;
    for (int32_t sum : {1, -1, 3, -3, 5, -5}) {
      const std::vector<int32_t> c(16, sum), bias(16, 0);
      std::vector<double> scales;
      for (int j = 0; j < 16; ++j) scales.push_back(j % 3 == 0 ? below : j % 3 == 1 ? 0.5 : above);
      int8_t out[16];
      kernels[k].run(
          {1, 16, c.data(), 16, bias.data(), nullptr, scales.data(), false, 0, -128, 127, out, 16});
      for (int j = 0; j < 16; ++j)
        ASSERT_EQ(out[j], static_cast<int>(std::round(sum * scales[j]))) << kernels[k].name;
    }
  }
}

TEST(RequantizeKernel, ACastOutOfRangeGivesWhatTheMachineGives) {
#if defined(__aarch64__)
  EXPECT_EQ(round_to_int32(3e9), INT32_MAX);
#else
  EXPECT_EQ(round_to_int32(3e9), INT32_MIN);
#endif
  EXPECT_EQ(round_to_int32(-3e9), INT32_MIN);
  EXPECT_EQ(round_to_int32(2147483646.5), INT32_MAX);
  EXPECT_EQ(round_to_int32(-2.5), -3);
  EXPECT_EQ(round_to_int32(2.5), 3);
}

TEST(RequantizeKernel, DispatchTakesTheFirstAllowedKernel) {
  int count;
  const RequantizeKernel* kernels = requantize_kernels(&count);
  for (int i = 0; i < count; ++i)
    EXPECT_STREQ(requantize_kernel(arch::bit(kernels[i].arch) | 1).name, kernels[i].name);
  kernels = requantize_double_kernels(&count);
  for (int i = 0; i < count; ++i)
    EXPECT_STREQ(requantize_double_kernel(arch::bit(kernels[i].arch) | 1).name, kernels[i].name);
}

}  // namespace
}  // namespace int8x
