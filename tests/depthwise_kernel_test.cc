// Every depthwise kernel equals the reference loops, for every filter that it fits, in any division
// into tiles.

#include <cstdlib>
#include <cstring>
#include <set>

#include "delegate/kernels/depthwise/depthwise.h"
#include "delegate/kernels/depthwise/leaf.h"
#include "tests/kernel_test.h"

namespace int8x {
namespace {

struct Case {
  DepthwiseSpec spec;
  DepthwiseGeometry geometry;
  std::vector<int8_t> filter, input;
  std::vector<int32_t> bias;
  std::vector<float> scales;
};

int32_t output_extent(Random& random, int32_t extent, int32_t pad, int32_t reach, int32_t stride) {
  // What VALID or SAME give, or now and then a row more that sees almost nothing of the input.
  const int32_t padded = extent + 2 * pad;
  const int32_t all = padded < reach ? 1 : (padded - reach) / stride + 1;
  return random.chance(20) ? all + 1 : all;
}

Case make_case(Random& random, int32_t kernel, int32_t stride, int32_t channels, int32_t size) {
  Case c;
  DepthwiseSpec& s = c.spec;
  s = {};
  s.in_c = channels;
  s.depth_multiplier = random.chance(80) ? 1 : random.pick({2, 3, 8});
  s.kernel_h = s.kernel_w = kernel;
  s.stride_h = s.stride_w = stride;
  if (random.chance(10)) s.kernel_w = random.integer(1, 6);
  if (random.chance(10)) s.stride_h = random.integer(1, 3);
  s.dilation_h = random.chance(90) ? 1 : 2;
  s.dilation_w = random.chance(90) ? 1 : 3;
  const int32_t out_c = channels * s.depth_multiplier;
  const int64_t taps = int64_t{s.kernel_h} * s.kernel_w;
  c.filter = random.bytes(taps * out_c, random.chance(10) ? -128 : -127);
  s.filter = c.filter.data();
  if (random.chance(80)) {
    const int32_t reach = random.chance(90) ? 30000 : INT32_MAX;
    for (int32_t i = 0; i < out_c; ++i) c.bias.push_back(random.integer(-reach, reach));
    s.bias = c.bias.data();
  }
  s.filter_scale_count = random.chance(80) ? out_c : 1;
  const bool large = random.chance(10);
  for (int32_t i = 0; i < s.filter_scale_count; ++i) {
    c.scales.push_back(random.chance(2) ? 0.0f : random.scale(large ? -4 : -16, large ? 4 : -1));
  }
  s.filter_scales = c.scales.data();
  s.input_scale = random.scale(-3, 0);
  s.output_scale = random.scale(-3, 0);
  s.input_zero_point = random.pick({-128, 127, 0, random.integer(-128, 127)});
  s.output_zero_point = random.pick({-128, 127, 0, random.integer(-128, 127)});
  s.activation_min = random.chance(50) ? -128 : s.output_zero_point;
  s.activation_max = random.chance(50) ? 127 : random.integer(s.activation_min, 127);

  DepthwiseGeometry& g = c.geometry;
  g.batch = random.chance(80) ? 1 : 2;
  g.in_h = size;
  g.in_w = random.chance(50) ? size : random.integer(1, 40);
  g.pad_top = random.integer(0, s.kernel_h - 1);
  g.pad_left = random.integer(0, s.kernel_w - 1);
  g.out_h =
      output_extent(random, g.in_h, g.pad_top, (s.kernel_h - 1) * s.dilation_h + 1, s.stride_h);
  g.out_w =
      output_extent(random, g.in_w, g.pad_left, (s.kernel_w - 1) * s.dilation_w + 1, s.stride_w);
  c.input = random.bytes(int64_t{g.batch} * g.in_h * g.in_w * channels);
  return c;
}

// The output with `kernel`, tiles run last to first, a few at a time; fails when bytes next to the
// output change.
std::vector<int8_t> run(const Case& c, const DepthwiseKernel& kernel) {
  const DepthwiseWeightsPtr weights = depthwise_pack_for(c.spec, kernel);
  DepthwiseParams params;
  EXPECT_TRUE(make_depthwise_params(*weights, c.geometry, &params));
  EXPECT_STREQ(depthwise_kernel_name(params), kernel.name);
  const size_t size = static_cast<size_t>(c.geometry.batch) * c.geometry.out_h * c.geometry.out_w *
                      weights->channels;
  constexpr size_t kGuard = 64;
  std::vector<int8_t> output(size + 2 * kGuard, 85);
  const size_t scratch_bytes = depthwise_scratch_bytes(params);
  void* scratch = nullptr;
  EXPECT_EQ(posix_memalign(&scratch, 64, scratch_bytes + 1), 0);
  const int64_t tiles = depthwise_tiles(params);
  for (int64_t end = tiles; end > 0;) {
    const int64_t begin = end > 3 ? end - 2 : 0;
    std::memset(scratch, 99, scratch_bytes);
    depthwise_run(params, c.input.data(), output.data() + kGuard, begin, end, scratch);
    end = begin;
  }
  std::free(scratch);
  for (size_t i = 0; i < kGuard; ++i) {
    EXPECT_EQ(output[i], 85);
    EXPECT_EQ(output[output.size() - 1 - i], 85);
  }
  return {output.begin() + kGuard, output.end() - kGuard};
}

std::string describe(const Case& c) {
  const DepthwiseSpec& s = c.spec;
  const DepthwiseGeometry& g = c.geometry;
  char text[256];
  std::snprintf(text, sizeof(text),
                "%dx%dx%dx%d -> %dx%d, multiplier %d, kernel %dx%d, stride %dx%d, dilation %dx%d, "
                "pad %d %d, zero points %d %d, activation %d %d",
                g.batch, g.in_h, g.in_w, s.in_c, g.out_h, g.out_w, s.depth_multiplier, s.kernel_h,
                s.kernel_w, s.stride_h, s.stride_w, s.dilation_h, s.dilation_w, g.pad_top,
                g.pad_left, s.input_zero_point, s.output_zero_point, s.activation_min,
                s.activation_max);
  return text;
}

void expect_all_equal(const Case& c, std::set<std::string>* ran) {
  ASSERT_TRUE(depthwise_valid(c.spec)) << describe(c);
  const DepthwiseKernelList list = depthwise_kernels();
  const std::vector<int8_t> wanted = run(c, list.kernels[list.count - 1]);
  for (int i = 0; i + 1 < list.count; ++i) {
    const DepthwiseKernel& kernel = list.kernels[i];
    if (!arch::has(arch::supported(), kernel.arch) || !kernel.fits(c.spec)) continue;
    ASSERT_EQ(run(c, kernel), wanted) << kernel.name << ": " << describe(c);
    ran->insert(kernel.name);
  }
}

TEST(Depthwise, EveryKernelEqualsTheReference) {
  std::printf("seed %u\n", kSeed);
  Random random;
  std::set<std::string> ran;
  for (int round = 0; round < 2; ++round) {
    for (int32_t kernel : {1, 2, 3, 4, 5, 7}) {
      for (int32_t stride : {1, 2, 3}) {
        for (int32_t channels :
             {1, 3, 8, 15, 16, 17, 31, 32, 33, 40, 48, 49, 63, 64, 65, 80, 131}) {
          const int32_t size = random.pick({1, 2, 3, 5, 7, 8, 14, 19, 33});
          expect_all_equal(make_case(random, kernel, stride, channels, size), &ran);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
  for (const DepthwiseKernel* kernel : runnable(depthwise_kernels())) {
    EXPECT_TRUE(kernel->arch == arch::reference || ran.count(kernel->name)) << kernel->name;
  }
}

TEST(Depthwise, WideRowsAreCutIntoStrips) {
  Random random;
  std::set<std::string> ran;
  for (int32_t stride : {1, 2}) {
    for (int32_t channels : {8, 16, 32, 64}) {
      Case c = make_case(random, 3, stride, channels, 9);
      c.geometry.in_w = 301;
      c.geometry.out_w = (c.geometry.in_w + stride - 1) / stride;
      c.input = random.bytes(int64_t{c.geometry.batch} * 9 * 301 * channels);
      expect_all_equal(c, &ran);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Depthwise, ForcedArchIsTheOneThatRuns) {
  Random random;
  Case c = make_case(random, 3, 1, 64, 14);
  c.spec.depth_multiplier = c.spec.dilation_h = c.spec.dilation_w = 1;
  c.spec.kernel_w = 3;
  c.spec.stride_h = 1;
  c.filter.assign(9 * 64, -127);
  c.scales.assign(64, 0.01f);
  c.bias.assign(64, 1000);
  c.spec.filter_scale_count = 64;
  c.spec.filter = c.filter.data();
  c.spec.filter_scales = c.scales.data();
  c.spec.bias = c.bias.data();
  for (arch::Arch wanted :
       {arch::reference, arch::avx2, arch::avxvnni, arch::avx512vnni, arch::neon, arch::neondot}) {
    arch::ArchSet set;
    if (arch::choose(arch::name(wanted), &set) != arch::Choice::ok) {
      std::printf("not run on this CPU: %s\n", arch::name(wanted));
      continue;
    }
    const DepthwiseWeightsPtr weights = depthwise_pack(c.spec, set);
    ASSERT_NE(weights, nullptr);
    EXPECT_EQ(weights->kernel->arch, wanted) << weights->kernel->name;
  }
}

TEST(Depthwise, RefusesWhatTheReferenceRefuses) {
  Random random;
  const Case good = make_case(random, 3, 1, 8, 5);
  ASSERT_TRUE(depthwise_valid(good.spec));
  auto refused = [&](auto change) {
    DepthwiseSpec spec = good.spec;
    change(spec);
    return !depthwise_valid(spec) && depthwise_pack(spec, arch::supported()) == nullptr;
  };
  EXPECT_TRUE(refused([](DepthwiseSpec& s) { s.stride_w = 0; }));
  EXPECT_TRUE(refused([](DepthwiseSpec& s) { s.kernel_h = -1; }));
  EXPECT_TRUE(refused([](DepthwiseSpec& s) { s.in_c = 0; }));
  EXPECT_TRUE(refused([](DepthwiseSpec& s) { s.output_scale = 0; }));
  EXPECT_TRUE(refused([](DepthwiseSpec& s) { s.input_scale = INFINITY; }));
  EXPECT_TRUE(refused([](DepthwiseSpec& s) { s.input_scale = 1e20f; }));
  EXPECT_TRUE(refused([](DepthwiseSpec& s) { s.filter_scale_count = 5; }));
  EXPECT_TRUE(refused([](DepthwiseSpec& s) { s.input_zero_point = 128; }));
  EXPECT_TRUE(refused([](DepthwiseSpec& s) { s.activation_min = s.activation_max + 1; }));

  const DepthwiseWeightsPtr weights = depthwise_pack(good.spec, arch::supported());
  DepthwiseParams params;
  DepthwiseGeometry geometry = good.geometry;
  EXPECT_TRUE(make_depthwise_params(*weights, geometry, &params));
  geometry.out_h = 0;
  EXPECT_FALSE(make_depthwise_params(*weights, geometry, &params));
  geometry = good.geometry;
  geometry.pad_left = -1;
  EXPECT_FALSE(make_depthwise_params(*weights, geometry, &params));
}

}  // namespace
}  // namespace int8x
