// Every RESIZE_BILINEAR kernel equals plain loops in 64 bits, for every number of channels around
// the vectors, with and without each option.

#include "delegate/kernels/resize/resize_bilinear.h"
#include "tests/kernel_test.h"

namespace int8x {
namespace {

// 10-bit position of output i along an axis, as the reference computes it.
int64_t position(int64_t i, int64_t n, int64_t m, const ResizeGeometry& g) {
  const int64_t step =
      g.align_corners && m > 1 ? (1024 * (n - 1) + (m - 1) / 2) / (m - 1) : (1024 * n + m / 2) / m;
  return i * step + (g.half_pixel_centers ? step / 2 - 512 : 0);
}

int8_t by_definition(const ResizeGeometry& g, const std::vector<int8_t>& input, int64_t b,
                     int64_t y, int64_t x, int64_t c) {
  const int64_t at_y = position(y, g.in_h, g.out_h, g), at_x = position(x, g.in_w, g.out_w, g);
  const int64_t y0 = std::max<int64_t>(at_y / 1024, 0), x0 = std::max<int64_t>(at_x / 1024, 0);
  const int64_t y1 = std::min<int64_t>((at_y + 1023) / 1024, g.in_h - 1);
  const int64_t x1 = std::min<int64_t>((at_x + 1023) / 1024, g.in_w - 1);
  const int64_t fy = at_y - 1024 * y0, fx = at_x - 1024 * x0;
  const auto value = [&](int64_t iy, int64_t ix) -> int64_t {
    return input[static_cast<size_t>(((b * g.in_h + iy) * g.in_w + ix) * g.channels + c)];
  };
  const int64_t sum = value(y0, x0) * (1024 - fy) * (1024 - fx) + value(y1, x0) * fy * (1024 - fx) +
                      value(y0, x1) * (1024 - fy) * fx + value(y1, x1) * fy * fx;
  return static_cast<int8_t>((sum > 0 ? sum + (1 << 19) : sum - (1 << 19)) / (1 << 20));
}

void expect_every_kernel(const ResizeGeometry& g, Random& random) {
  const std::vector<int8_t> input = random.bytes(int64_t{g.batch} * g.in_h * g.in_w * g.channels);
  std::vector<int8_t> wanted;
  for (int64_t b = 0; b < g.batch; ++b) {
    for (int64_t y = 0; y < g.out_h; ++y) {
      for (int64_t x = 0; x < g.out_w; ++x) {
        for (int64_t c = 0; c < g.channels; ++c) {
          wanted.push_back(by_definition(g, input, b, y, x, c));
        }
      }
    }
  }
  ResizeParams params;
  ASSERT_TRUE(make_resize_params(g, arch::supported(), &params));
  EXPECT_STREQ(resize_bilinear_kernel_name(params),
               first_name(resize_kernels(), arch::supported()));
  for (const ResizeKernel* kernel : runnable(resize_kernels())) {
    params.kernel = kernel;
    std::vector<int8_t> output(wanted.size() + 64, 85);
    for (int64_t tile = resize_bilinear_tiles(params) - 1; tile >= 0; --tile) {
      resize_bilinear_run(params, input.data(), output.data(), tile, tile + 1, nullptr);
    }
    for (size_t k = wanted.size(); k < output.size(); ++k) ASSERT_EQ(output[k], 85);
    output.resize(wanted.size());
    ASSERT_EQ(output, wanted) << kernel->name;
  }
}

TEST(ResizeBilinear, EveryKernelEqualsTheDefinition) {
  std::printf("seed %u\n", kSeed);
  Random random;
  for (int32_t channels : {1, 3, 15, 16, 17, 31, 32, 33, 63, 64, 65, 130}) {
    for (int round = 0; round < 12; ++round) {
      const int32_t option = round % 3;
      expect_every_kernel(
          {random.integer(1, 2), random.integer(1, 7), random.integer(1, 7), channels,
           random.integer(1, 15), random.integer(1, 15), option == 1, option == 2},
          random);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(ResizeBilinear, RefusesWhatTheReferenceCannotDo) {
  ResizeParams params;
  const arch::ArchSet all = arch::supported();
  EXPECT_TRUE(make_resize_params({1, 2, 2, 1, 4, 4, true, false}, all, &params));
  EXPECT_FALSE(make_resize_params({1, 2, 2, 1, 4, 4, true, true}, all, &params));
  EXPECT_FALSE(make_resize_params({1, 2, 2, 1, 0, 4, false, false}, all, &params));
  EXPECT_FALSE(make_resize_params({1, 2, 0, 1, 4, 4, false, false}, all, &params));
  // A step of 1/1024 rounded up runs past a single input.
  EXPECT_FALSE(make_resize_params({1, 1, 1, 1, 2000, 1, false, false}, all, &params));
  EXPECT_FALSE(make_resize_params({1, 1, INT32_MAX, 1, 1, 1, false, false}, all, &params));
}

}  // namespace
}  // namespace int8x
