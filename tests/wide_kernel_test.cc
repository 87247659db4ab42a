// 16x8 convolutions equal plain loops in 64 bits, around their tiles and where 32 bits would
// overflow.

#include <algorithm>
#include <cstring>
#include <map>

#include "delegate/kernels/wide/wide_conv.h"
#include "tests/kernel_test.h"

namespace int8x {
namespace {

TEST(WideDot, EveryKernelIsExact) {
  std::printf("seed %u\n", kSeed);
  Random random;
  const auto kernels = runnable(wide_dot_kernels());
  for (int k : {32, 64, 96, 992, 4064, 4096, 8192, 9216}) {
    for (int round = 0; round < 12; ++round) {
      const int m = random.integer(1, 5), n = random.integer(1, 9);
      std::vector<int16_t> lhs = random.words(int64_t{m} * k);
      std::vector<int16_t> rhs = random.words(int64_t{n} * k, -128, 127);
      if (round == 0) {  // every product is 2^22
        std::fill(lhs.begin(), lhs.end(), int16_t{INT16_MIN});
        std::fill(rhs.begin(), rhs.end(), int16_t{-128});
      }
      std::vector<int64_t> wanted;
      for (int i = 0; i < m; ++i) {
        for (int j = 0; j < n; ++j) {
          int64_t sum = 0;
          for (int x = 0; x < k; ++x) {
            sum +=
                int64_t{lhs[static_cast<size_t>(i * k + x)]} * rhs[static_cast<size_t>(j * k + x)];
          }
          wanted.push_back(sum);
        }
      }
      for (const WideDotKernel* kernel : kernels) {
        std::vector<int64_t> sums(wanted.size() + 1, 85);
        kernel->run({m, n, k, lhs.data(), rhs.data(), sums.data()});
        ASSERT_EQ(sums.back(), 85);
        sums.pop_back();
        ASSERT_EQ(sums, wanted) << kernel->name << " " << m << "x" << n << "x" << k;
      }
    }
  }
}

int64_t sum_by_definition(const WideConvSpec& s, const WideConvGeometry& g,
                          const std::vector<int16_t>& input, const std::vector<int8_t>& weights,
                          int64_t b, int y, int x, int o) {
  const int channels = s.depthwise ? 1 : s.in_c / s.groups;
  int64_t sum = 0;
  for (int ky = 0; ky < s.kernel_h; ++ky) {
    for (int kx = 0; kx < s.kernel_w; ++kx) {
      const int iy = y * g.stride_h + ky * g.dilation_h - g.pad_top;
      const int ix = x * g.stride_w + kx * g.dilation_w - g.pad_left;
      if (iy < 0 || iy >= g.in_h || ix < 0 || ix >= g.in_w) continue;
      const int64_t pixel = ((b * g.in_h + iy) * g.in_w + ix) * s.in_c;
      for (int c = 0; c < channels; ++c) {
        const int64_t from =
            s.depthwise ? o / (s.out_c / s.in_c) : o / (s.out_c / s.groups) * channels + c;
        const int64_t tap = int64_t{ky} * s.kernel_w + kx;
        const int64_t w = s.depthwise ? tap * s.out_c + o
                                      : (int64_t{o} * s.kernel_h * s.kernel_w + tap) * channels + c;
        sum += int64_t{input[static_cast<size_t>(pixel + from)]} * weights[static_cast<size_t>(w)];
      }
    }
  }
  return sum;
}

// What each instruction set of this CPU may run.
std::vector<arch::ArchSet> arch_sets() {
  std::vector<arch::ArchSet> out;
  for (int a = 0; a < arch::kArchCount; ++a) {
    arch::ArchSet archs = 0;
    if (arch::choose(arch::name(static_cast<arch::Arch>(a)), &archs) == arch::Choice::ok) {
      out.push_back(archs);
    }
  }
  return out;
}

// Counts in `ran` which kernels it ran.
void expect_conv(bool depthwise, bool in_double, Random& random, std::map<std::string, int>& ran) {
  const int groups = depthwise ? 1 : random.pick({1, 1, 2});
  const int in_c = groups * (depthwise ? random.pick({1, 8, 16, 17, 31, 32, 33, 47, 64, 65})
                                       : random.pick({1, 3, 8, 17}));
  const int out_c =
      depthwise ? in_c * random.pick({1, 1, 2}) : groups * random.pick({1, 5, 16, 64, 70});
  const int kernel_h = random.integer(1, 3), kernel_w = random.integer(1, 3);
  const WideConvGeometry g = {random.integer(1, 2), random.integer(1, 6), random.integer(1, 6),
                              random.integer(1, 5), random.integer(1, 5), random.integer(1, 2),
                              random.integer(1, 2), random.integer(1, 2), random.integer(1, 2),
                              random.integer(0, 1), random.integer(0, 1)};
  const int channels = depthwise ? 1 : in_c / groups;
  const std::vector<int8_t> weights = random.bytes(int64_t{out_c} * kernel_h * kernel_w * channels);
  // Large ones do not fit the kernels whose sums have 32 bits.
  const int64_t large = random.pick({1, 1, 1, 100000});
  std::vector<int64_t> bias;
  std::vector<double> scales;
  for (int o = 0; o < out_c; ++o) {
    bias.push_back(random.integer(-1000000, 1000000) * large);
    scales.push_back(std::ldexp(random.real(0.5f, 1.0f), random.integer(-22, -8)));
  }
  const WideConvSpec spec = {out_c,         kernel_h,  kernel_w,       in_c,
                             groups,        depthwise, weights.data(), bias.data(),
                             scales.data(), in_double, -32768,         32000};
  ASSERT_TRUE(wide_conv_valid(spec));
  const std::vector<int16_t> input = random.words(int64_t{g.batch} * g.in_h * g.in_w * in_c);
  std::vector<int16_t> wanted;
  for (int64_t b = 0; b < g.batch; ++b) {
    for (int y = 0; y < g.out_h; ++y) {
      for (int x = 0; x < g.out_w; ++x) {
        for (int o = 0; o < out_c; ++o) {
          const size_t c = static_cast<size_t>(o);
          const int64_t acc = sum_by_definition(spec, g, input, weights, b, y, x, o) + bias[c];
          const double real = static_cast<double>(acc) * scales[c];
          const int32_t out =
              !in_double
                  ? multiply_wide_by_quantized_multiplier(acc, quantize_multiplier(scales[c]))
              : real > -2147483648.0 && real < 2147483647.0 ? static_cast<int32_t>(std::round(real))
                                                            : INT32_MIN;
          wanted.push_back(static_cast<int16_t>(clamp(out, -32768, 32000)));
        }
      }
    }
  }
  for (arch::ArchSet archs : arch_sets()) {
    const WideConvParams params = {wide_conv_pack(spec, archs), g};
    std::vector<int16_t> output(wanted.size() + 16, 85);
    std::vector<int64_t> scratch(wide_conv_scratch_bytes(params) / 8 + 1);
    for (int64_t tile = wide_conv_tiles(params) - 1; tile >= 0; --tile) {
      wide_conv_run(params, input.data(), output.data(), tile, tile + 1, scratch.data());
    }
    for (size_t k = wanted.size(); k < output.size(); ++k) ASSERT_EQ(output[k], 85);
    output.resize(wanted.size());
    ASSERT_EQ(output, wanted) << wide_conv_kernel_name(params);
    ++ran[wide_conv_kernel_name(params)];
  }
}

TEST(WideConv, EqualsTheDefinition) {
  Random random;
  std::map<std::string, int> ran;
  for (int round = 0; round < 300; ++round) {
    expect_conv(round % 3 == 0, round % 3 == 1, random, ran);
    if (HasFatalFailure()) return;
  }
  for (arch::ArchSet archs : arch_sets()) {
    const WideGemmKernel* gemm = wide_gemm_kernel(archs);
    const WideDepthwiseKernel* depthwise = wide_depthwise_kernel(archs);
    EXPECT_TRUE(gemm == nullptr || ran[gemm->name] > 20);
    EXPECT_TRUE(depthwise == nullptr || ran[depthwise->name] > 20);
  }
}

// 32-bit sums end where the largest that the weights allow leaves int32.
TEST(WideConv, NarrowSumsReachTheLargestInt32) {
  const std::vector<int8_t> weights(516, -127);  // 516 * 127 = 65532
  const double scale = 1.0 / 65536;
  const std::vector<int16_t> input(516, INT16_MIN);
  const WideConvGeometry g = {1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0};
  for (int64_t bias : {int64_t{0}, int64_t{131071}, int64_t{131072}, int64_t{-131072}}) {
    const int64_t sum = int64_t{516} * 127 * 32768 + bias;
    const WideConvSpec spec = {1,     1,      1,     516,    1,    false, weights.data(),
                               &bias, &scale, false, -32768, 32767};
    for (arch::ArchSet archs : arch_sets()) {
      const WideConvParams params = {wide_conv_pack(spec, archs), g};
      const bool narrow = 516 * 127 * int64_t{32768} + std::abs(bias) <= INT32_MAX;
      EXPECT_EQ(params.weights->narrow.gemm != nullptr,
                narrow && wide_gemm_kernel(archs) != nullptr);
      std::vector<int64_t> scratch(wide_conv_scratch_bytes(params) / 8 + 1);
      int16_t output = 0;
      wide_conv_run(params, input.data(), &output, 0, 1, scratch.data());
      const int32_t wanted = multiply_wide_by_quantized_multiplier(sum, quantize_multiplier(scale));
      EXPECT_EQ(output, clamp(wanted, -32768, 32767)) << wide_conv_kernel_name(params);
    }
  }
}

TEST(WideMultiplier, RoundsOnceAndHalfUp) {
  Random random;
  for (int round = 0; round < 100000; ++round) {
    const Multiplier m = {random.integer(1 << 30, INT32_MAX), random.integer(-31, 7)};
    const int64_t x = int64_t{random.integer(INT32_MIN, INT32_MAX)} * random.pick({1, 1, 4096});
    const int64_t half = m.multiplier < 0x7fff0000 ? (m.multiplier + (1 << 15)) >> 16 : 0x7fff;
    const __int128 product = static_cast<__int128>(x) * half + (__int128{1} << (14 - m.shift));
    ASSERT_EQ(multiply_wide_by_quantized_multiplier(x, m),
              static_cast<int32_t>(static_cast<int64_t>(product >> (15 - m.shift))));
  }
}

TEST(WideConv, RefusesWhatHasNoMeaning) {
  const double scale = 200;
  const int8_t weight = 1;
  EXPECT_FALSE(wide_conv_valid({1, 1, 1, 1, 1, false, &weight, nullptr, &scale, false, -5, 5}));
}

}  // namespace
}  // namespace int8x
