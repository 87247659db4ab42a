// Every QUANTIZE and DEQUANTIZE kernel equals the formula, ties, infinities and NaN included.

#include <cmath>
#include <cstring>
#include <limits>

#include "delegate/kernels/convert/convert.h"
#include "tests/kernel_test.h"

namespace int8x {
namespace {

// In double, which holds float32 quotients, int32 and every sum here exactly.
int8_t quantized(float x, float scale, int32_t zero_point) {
  const double steps = std::round(double{x / scale});
  double whole = steps >= -2147483648.0 && steps < 2147483648.0 ? steps : -2147483648.0;
  whole += zero_point;
  if (whole < -2147483648.0) whole += 4294967296.0;
  if (whole >= 2147483648.0) whole -= 4294967296.0;
  return static_cast<int8_t>(std::min(std::max(whole, -128.0), 127.0));
}

// Around every tie of the scale, and what lies far out.
std::vector<float> awkward(float scale) {
  std::vector<float> out;
  for (int32_t i = -300; i <= 300; ++i) {
    const float tie = (static_cast<float>(i) + 0.5f) * scale;
    for (float x : {tie, std::nextafter(tie, -INFINITY), std::nextafter(tie, INFINITY),
                    static_cast<float>(i) * scale}) {
      out.push_back(x);
    }
  }
  for (float steps : {4194303.5f, 4194304.5f, 8388607.5f, 8388609.0f, 2147483520.0f, 2147483648.0f,
                      4294967296.0f, 3e38f, INFINITY, NAN, 0.49999997f, 0.0f}) {
    out.push_back(steps * scale);
    out.push_back(-steps * scale);
  }
  out.push_back(std::numeric_limits<float>::denorm_min());
  out.push_back(-std::numeric_limits<float>::denorm_min());
  return out;
}

TEST(Quantize, EveryKernelEqualsTheFormula) {
  std::printf("seed %u\n", kSeed);
  Random random;
  const auto kernels = runnable(quantize_kernels());
  for (int round = 0; round < 60; ++round) {
    const float scale = round == 0 ? 1.0f : random.scale(-12, 3);
    const int32_t zero_point = random.pick({-128, -1, 0, 127, random.integer(-128, 127)});
    std::vector<float> input = awkward(scale);
    for (int i = 0; i < 200; ++i) input.push_back(random.real(-140, 140) * scale);
    std::vector<int8_t> wanted;
    for (float x : input) wanted.push_back(quantized(x, scale, zero_point));
    for (const QuantizeKernel* kernel : kernels) {
      for (int64_t count : {int64_t{1}, int64_t{15}, int64_t{16}, int64_t{17}, int64_t{33},
                            int64_t{67}, static_cast<int64_t>(input.size())}) {
        QuantizeParams params;
        ASSERT_TRUE(make_quantize_params(scale, zero_point, count, arch::supported(), &params));
        EXPECT_STREQ(quantize_kernel_name(params), kernels[0]->name);
        params.kernel = kernel;
        std::vector<int8_t> output(static_cast<size_t>(count) + 64, 85);
        quantize_run(params, input.data(), output.data(), 0, quantize_tiles(params), nullptr);
        for (size_t i = 0; i < output.size(); ++i) {
          ASSERT_EQ(output[i], i < static_cast<size_t>(count) ? wanted[i] : 85)
              << kernel->name << ": " << input[i] << " / " << scale << " + " << zero_point;
        }
      }
    }
  }
}

TEST(Quantize, TilesMeetWithoutGaps) {
  Random random;
  std::vector<float> input(40001);
  for (float& x : input) x = random.real(-2, 2);
  QuantizeParams params;
  ASSERT_TRUE(make_quantize_params(0.0125f, 3, 40001, arch::supported(), &params));
  std::vector<int8_t> output(input.size());
  ASSERT_GT(quantize_tiles(params), 1);
  for (int64_t tile = quantize_tiles(params) - 1; tile >= 0; --tile) {
    quantize_run(params, input.data(), output.data(), tile, tile + 1, nullptr);
  }
  for (size_t i = 0; i < input.size(); ++i) {
    ASSERT_EQ(output[i], quantized(input[i], 0.0125f, 3));
  }
}

TEST(Dequantize, EveryKernelEqualsTheFormulaBitForBit) {
  Random random;
  const auto kernels = runnable(dequantize_kernels());
  for (int round = 0; round < 60; ++round) {
    const float scale = random.scale(-20, 5);
    const int32_t zero_point = random.integer(-128, 127);
    const int64_t count = random.pick({1, 7, 8, 9, 15, 16, 17, 35, 300, 40001});
    const std::vector<int8_t> input = random.bytes(count);
    for (const DequantizeKernel* kernel : kernels) {
      DequantizeParams params;
      ASSERT_TRUE(make_dequantize_params(scale, zero_point, count, arch::supported(), &params));
      EXPECT_STREQ(dequantize_kernel_name(params), kernels[0]->name);
      params.kernel = kernel;
      std::vector<float> output(static_cast<size_t>(count) + 16, 85);
      for (int64_t tile = dequantize_tiles(params) - 1; tile >= 0; --tile) {
        dequantize_run(params, input.data(), output.data(), tile, tile + 1, nullptr);
      }
      for (size_t i = 0; i < output.size(); ++i) {
        const float wanted = i < static_cast<size_t>(count)
                                 ? static_cast<float>(double{scale} * (input[i] - zero_point))
                                 : 85;
        ASSERT_EQ(std::memcmp(&output[i], &wanted, sizeof(float)), 0) << kernel->name;
      }
    }
  }
}

TEST(Convert, RefusesWhatHasNoMeaning) {
  QuantizeParams quantize;
  DequantizeParams dequantize;
  for (float scale : {0.0f, -1.0f, INFINITY, NAN}) {
    EXPECT_FALSE(make_quantize_params(scale, 0, 4, arch::supported(), &quantize));
    EXPECT_FALSE(make_dequantize_params(scale, 0, 4, arch::supported(), &dequantize));
  }
  EXPECT_FALSE(make_quantize_params(1, 128, 4, arch::supported(), &quantize));
  EXPECT_FALSE(make_dequantize_params(1, -129, 4, arch::supported(), &dequantize));
  EXPECT_FALSE(make_quantize_params(1, 0, 0, arch::supported(), &quantize));
}

}  // namespace
}  // namespace int8x
