// 16x8 kernels equal plain loops in 64 bits, around their tiles and where 32 bits would overflow;
// the 16-bit functions stay near the real ones.

#include <algorithm>
#include <cstring>
#include <map>

#include "delegate/kernels/wide/pointwise.h"
#include "delegate/kernels/wide/softmax.h"
#include "delegate/kernels/wide/wide_conv.h"
#include "tests/kernel_test.h"

namespace int8x {
namespace {

std::vector<int16_t> words(Random& random, int64_t count, int32_t low = INT16_MIN,
                           int32_t high = INT16_MAX) {
  const bool extremes = random.chance(30);
  std::vector<int16_t> out(static_cast<size_t>(count));
  for (int16_t& x : out) {
    x = static_cast<int16_t>(extremes ? (random.chance(50) ? low : high)
                                      : random.integer(low, high));
  }
  return out;
}

TEST(WideDot, EveryKernelIsExact) {
  std::printf("seed %u\n", kSeed);
  Random random;
  const auto kernels = runnable(wide_dot_kernels());
  for (int k : {32, 64, 96, 992, 4064, 4096, 8192, 9216}) {
    for (int round = 0; round < 12; ++round) {
      const int m = random.integer(1, 5), n = random.integer(1, 9);
      std::vector<int16_t> lhs = words(random, int64_t{m} * k);
      std::vector<int16_t> rhs = words(random, int64_t{n} * k, -128, 127);
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
  const std::vector<int16_t> input = words(random, int64_t{g.batch} * g.in_h * g.in_w * in_c);
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

TEST(WideBinary, EveryKernelEqualsTheReference) {
  Random random;
  runnable(wide_binary_kernels());
  for (int32_t n : {1, 3, 4, 7, 8, 9, 15, 16, 17, 33, 5000}) {
    for (bool multiply : {false, true}) {
      for (const std::vector<int32_t>& rhs_dims :
           {std::vector<int32_t>{3, n}, std::vector<int32_t>{n}, std::vector<int32_t>{3, 1}}) {
        const int32_t dims[] = {3, n};
        WideBinaryParams params;
        const float lhs_scale = random.scale(-12, -3), rhs_scale = random.scale(-12, -3);
        const float output_scale = multiply ? lhs_scale * rhs_scale * random.real(5e3f, 1e5f)
                                            : std::max(lhs_scale, rhs_scale);
        ASSERT_TRUE(make_wide_binary_params(
            multiply, lhs_scale, rhs_scale, output_scale, -32768, 32000, dims, 2, rhs_dims.data(),
            static_cast<int>(rhs_dims.size()), arch::supported(), &params));
        const std::vector<int16_t> lhs = words(random, 3 * n), rhs = words(random, 3 * n);
        std::vector<std::vector<int16_t>> outputs;
        for (int i = wide_binary_kernels().count - 1; i >= 0; --i) {  // the reference first
          const WideBinaryKernel& kernel = wide_binary_kernels().kernels[i];
          if (kernel.multiply != multiply || !arch::has(arch::supported(), kernel.arch)) continue;
          params.kernel = &kernel;
          outputs.emplace_back(static_cast<size_t>(3 * n) + 16, 85);
          for (int64_t tile = wide_binary_tiles(params) - 1; tile >= 0; --tile) {
            wide_binary_run(params, lhs.data(), rhs.data(), outputs.back().data(), tile, tile + 1,
                            nullptr);
          }
          ASSERT_EQ(outputs.back(), outputs.front()) << kernel.name << " " << n;
        }
        for (size_t k = static_cast<size_t>(3 * n); k < outputs[0].size(); ++k) {
          ASSERT_EQ(outputs[0][k], 85);
        }
      }
    }
  }
}

TEST(WidePool, EveryKernelEqualsTheReference) {
  Random random;
  const auto kernels = runnable(wide_pool_kernels());
  for (int32_t channels : {1, 7, 8, 9, 15, 16, 17, 40}) {
    for (int round = 0; round < 60; ++round) {
      const int32_t rows = random.integer(1, 4), columns = random.pick({1, 2, 3, 5, 40});
      const int64_t stride = int64_t{columns + random.integer(0, 2)} * channels;
      const std::vector<int16_t> input = words(random, rows * stride);
      for (bool average : {false, true}) {
        std::vector<int16_t> wanted, output(static_cast<size_t>(channels) + 16, 85);
        WidePoolWindow window = {input.data(), stride,       rows,
                                 columns,      channels,     random.chance(50) ? -32768 : -900,
                                 32000,        output.data()};
        wide_pool_kernel(average, 0)->run(window);
        wanted = output;
        for (const WidePoolKernel* kernel : kernels) {
          if (kernel->average != average) continue;
          std::fill(output.begin(), output.end(), int16_t{85});
          kernel->run(window);
          ASSERT_EQ(output, wanted) << kernel->name << " " << rows << "x" << columns;
        }
      }
    }
  }
}

// Half away from zero on exact halves, near the largest sums.
TEST(WidePool, RoundsHalvesAwayFromZero) {
  for (const WidePoolKernel* kernel : runnable(wide_pool_kernels())) {
    if (!kernel->average) continue;
    for (int32_t count : {2, 6, 100, 30000}) {
      for (int32_t sign : {-1, 1}) {
        // All but half of them 32766, the others one more: the mean is 32766.5.
        std::vector<int16_t> input(static_cast<size_t>(count) * 16);
        for (size_t i = 0; i < input.size(); ++i)
          input[i] = static_cast<int16_t>(sign * (32766 + (i / 16 < input.size() / 32 ? 1 : 0)));
        std::vector<int16_t> output(16);
        kernel->run({input.data(), 0, 1, count, 16, -32768, 32767, output.data()});
        for (int16_t y : output) ASSERT_EQ(y, sign * 32767) << kernel->name << " " << count;
      }
    }
  }
}

TEST(WideSigmoid, EveryKernelEqualsTheReference) {
  Random random;
  const auto kernels = runnable(wide_sigmoid_kernels());
  std::vector<int16_t> input;
  for (int32_t q = INT16_MIN; q <= INT16_MAX; ++q) input.push_back(static_cast<int16_t>(q));
  for (int round = 0; round < 60; ++round) {
    const float scale = round == 0   ? 1.0f / 4096
                        : round == 1 ? 1.0f / 2048
                        : round == 2 ? 0.9f
                        : round == 3 ? 1e-9f
                        : round == 5 ? 3.0f  // a multiplier of more than 16 bits
                                     : random.scale(-17, 0);
    for (bool tanh : {false, true}) {
      WideSigmoidParams params;
      const int64_t count = round % 4 == 0 ? 65536 - random.integer(1, 17) : 65536;
      ASSERT_TRUE(make_wide_sigmoid_params(tanh, scale, count, arch::supported(), &params));
      const size_t last = static_cast<size_t>(count);
      std::vector<int16_t> wanted(input.size(), 85);
      sigmoid_s16_s16_reference(params, input.data(), wanted.data(), count);
      if (params.multiplier > kMostSigmoidMultiplier) {
        ASSERT_EQ(params.kernel->arch, arch::reference);
        continue;
      }
      for (const WideSigmoidKernel* kernel : kernels) {
        std::vector<int16_t> output(input.size(), 85);
        kernel->run(params, input.data(), output.data(), count);
        ASSERT_EQ(output, wanted) << kernel->name << " " << scale << " " << last;
      }
    }
  }
}

TEST(WideSoftmax, EveryKernelEqualsTheReference) {
  Random random;
  const auto kernels = runnable(wide_softmax_kernels());
  for (int round = 0; round < 200; ++round) {
    const int64_t depth = random.pick({1, 7, 8, 9, 16, 17, 33, 1001});
    const std::vector<int16_t> input = words(random, depth);
    WideSoftmaxParams params;
    ASSERT_TRUE(make_wide_softmax_params(random.scale(-22, 14), 1.0f, 1, depth, arch::supported(),
                                         &params));
    const int32_t max = *std::max_element(input.begin(), input.end());
    std::vector<int16_t> wanted(input.size() + 16, 85);
    const int32_t sum = softmax_s16_s16_reference(params, input.data(), max, depth, wanted.data());
    for (const WideSoftmaxKernel* kernel : kernels) {
      std::vector<int16_t> output(input.size() + 16, 85);
      ASSERT_EQ(kernel->run(params, input.data(), max, depth, output.data()), sum)
          << kernel->name << " " << depth;
      ASSERT_EQ(output, wanted) << kernel->name << " " << depth;
    }
  }
}

TEST(WideSigmoid, IsNearTheRealFunctions) {
  std::vector<int16_t> input, output(65536);
  for (int32_t q = INT16_MIN; q <= INT16_MAX; ++q) input.push_back(static_cast<int16_t>(q));
  for (float scale : {1.0f / 4096, 1.0f / 2048, 1e-4f, 3e-3f}) {
    for (bool tanh : {false, true}) {
      WideSigmoidParams params;
      ASSERT_TRUE(make_wide_sigmoid_params(tanh, scale, 65536, arch::supported(), &params));
      for (int64_t tile = wide_sigmoid_tiles(params) - 1; tile >= 0; --tile) {
        wide_sigmoid_run(params, input.data(), output.data(), tile, tile + 1, nullptr);
      }
      for (size_t i = 0; i < input.size(); ++i) {
        const double v = double{scale} * input[i];
        const double real = (tanh ? std::tanh(v) : 1 / (1 + std::exp(-v))) * 32768;
        // Half the error of interpolation (1 / 24 squared times a curvature of 0.1 / 8, twice for
        // tanh, in Q0.15), the input's grid and two roundings.
        ASSERT_LE(std::abs(output[i] - real), tanh ? 8 : 3) << v;
      }
    }
  }
}

TEST(WideSoftmax, RowsAddUpToOne) {
  Random random;
  for (int round = 0; round < 200; ++round) {
    const int64_t rows = random.integer(1, 3), depth = random.pick({1, 2, 10, 300});
    const std::vector<int16_t> input = words(random, rows * depth);
    WideSoftmaxParams params;
    ASSERT_TRUE(make_wide_softmax_params(random.scale(-14, -4), 1.0f, rows, depth,
                                         arch::supported(), &params));
    std::vector<int16_t> output(input.size() + 16, 85);
    for (int64_t row = rows - 1; row >= 0; --row) {
      wide_softmax_run(params, input.data(), output.data(), row, row + 1, nullptr);
    }
    for (size_t k = input.size(); k < output.size(); ++k) ASSERT_EQ(output[k], 85);
    for (int64_t row = 0; row < rows; ++row) {
      int64_t sum = 0;
      for (int64_t i = 0; i < depth; ++i) sum += output[static_cast<size_t>(row * depth + i)];
      // Each output is rounded; the reciprocal has 15 bits.
      ASSERT_LE(std::abs(sum - 32768), depth / 2 + 16);
    }
  }
}

TEST(Wide, RefusesWhatHasNoMeaning) {
  const int32_t dims[] = {4};
  WideBinaryParams binary;
  EXPECT_TRUE(
      make_wide_binary_params(false, 1, 1, 1, -5, 5, dims, 1, dims, 1, arch::supported(), &binary));
  EXPECT_FALSE(make_wide_binary_params(false, 1, 1, 1e-6f, -5, 5, dims, 1, dims, 1,
                                       arch::supported(), &binary));
  EXPECT_FALSE(make_wide_binary_params(true, 1, NAN, 1, -5, 5, dims, 1, dims, 1, arch::supported(),
                                       &binary));
  EXPECT_FALSE(
      valid_wide_pool({wide_pool_kernel(true, 0), 1, 4, 4, 1, 2, 2, 300, 300, 1, 1, 0, 0, -5, 5}));
  WideSigmoidParams sigmoid;
  EXPECT_FALSE(make_wide_sigmoid_params(true, INFINITY, 1, 0, &sigmoid));
  WideSoftmaxParams softmax;
  EXPECT_FALSE(make_wide_softmax_params(1.0f, 1.0f, 1, 1 << 16, 0, &softmax));
  const double scale = 200;
  const int8_t weight = 1;
  EXPECT_FALSE(wide_conv_valid({1, 1, 1, 1, 1, false, &weight, nullptr, &scale, false, -5, 5}));
}

}  // namespace
}  // namespace int8x
