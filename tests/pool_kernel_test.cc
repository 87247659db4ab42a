// Every pooling kernel equals plain loops over the taps inside the input.

#include "delegate/fixed_point/requantize.h"
#include "delegate/kernels/pool/pool.h"
#include "tests/kernel_test.h"

namespace int8x {
namespace {

// The definition: no windows, no spans, one output at a time.
std::vector<int8_t> by_definition(PoolKind kind, const PoolGeometry& g, int32_t min, int32_t max,
                                  const std::vector<int8_t>& input) {
  std::vector<int8_t> output;
  for (int b = 0; b < g.batch; ++b) {
    for (int oy = 0; oy < g.out_h; ++oy) {
      for (int ox = 0; ox < g.out_w; ++ox) {
        for (int c = 0; c < g.channels; ++c) {
          int32_t sum = 0, taps = 0, largest = -128;
          for (int y = oy * g.stride_h - g.pad_top, i = 0; i < g.kernel_h; ++i, ++y) {
            for (int x = ox * g.stride_w - g.pad_left, j = 0; j < g.kernel_w; ++j, ++x) {
              if (y < 0 || y >= g.in_h || x < 0 || x >= g.in_w) continue;
              const int32_t q = input[static_cast<size_t>(
                  ((int64_t{b} * g.in_h + y) * g.in_w + x) * g.channels + c)];
              sum += q;
              ++taps;
              largest = std::max(largest, q);
            }
          }
          const int32_t mean = (sum > 0 ? sum + taps / 2 : sum - taps / 2) / taps;
          output.push_back(
              static_cast<int8_t>(clamp(kind == PoolKind::average ? mean : largest, min, max)));
        }
      }
    }
  }
  return output;
}

void expect_all_equal(const PoolGeometry& g, int32_t min, int32_t max,
                      const std::vector<int8_t>& input) {
  for (PoolKind kind : {PoolKind::average, PoolKind::max}) {
    PoolParams params;
    ASSERT_TRUE(make_pool_params(kind, g, min, max, arch::supported(), &params));
    const std::vector<int8_t> wanted = by_definition(kind, g, min, max, input);
    bool chosen = false;
    for (int i = 0; i < pool_kernels().count; ++i) {
      const PoolKernel& kernel = pool_kernels().kernels[i];
      if (kernel.kind != kind || !arch::has(arch::supported(), kernel.arch)) continue;
      if (!chosen) {
        EXPECT_STREQ(pool_kernel_name(params), kernel.name);
        chosen = true;
      }
      params.kernel = &kernel;
      std::vector<int8_t> output(wanted.size() + 64, 85);
      for (int64_t tile = pool_tiles(params) - 1; tile >= 0; --tile) {
        pool_run(params, input.data(), output.data(), tile, tile + 1, nullptr);
      }
      for (size_t k = wanted.size(); k < output.size(); ++k) ASSERT_EQ(output[k], 85);
      output.resize(wanted.size());
      ASSERT_EQ(output, wanted) << kernel.name << " " << g.in_h << "x" << g.in_w << "x"
                                << g.channels << " kernel " << g.kernel_h << "x" << g.kernel_w;
    }
  }
}

TEST(Pool, EveryKernelEqualsTheDefinition) {
  std::printf("seed %u\n", kSeed);
  runnable(pool_kernels());
  Random random;
  for (int round = 0; round < 4; ++round) {
    for (int32_t channels : {1, 3, 15, 16, 17, 31, 32, 33, 35, 48, 64, 67}) {
      for (int32_t kernel : {1, 2, 3, 7}) {
        PoolGeometry g = {};
        g.batch = random.integer(1, 2);
        g.in_h = random.integer(1, 15);
        g.in_w = random.integer(1, 15);
        g.channels = channels;
        g.kernel_h = kernel;
        g.kernel_w = random.chance(80) ? kernel : random.integer(1, 9);
        g.stride_h = random.integer(1, 3);
        g.stride_w = random.integer(1, 3);
        g.pad_top = random.integer(0, g.kernel_h - 1);
        g.pad_left = random.integer(0, g.kernel_w - 1);
        g.out_h = (g.in_h + g.pad_top - 1) / g.stride_h + 1;
        g.out_w = (g.in_w + g.pad_left - 1) / g.stride_w + 1;
        const int32_t min = random.chance(50) ? -128 : random.integer(-128, 127);
        expect_all_equal(g, min, random.chance(50) ? 127 : random.integer(min, 127),
                         random.bytes(int64_t{g.batch} * g.in_h * g.in_w * channels));
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(Pool, LargeWindowsKeepTheirSums) {
  Random random;
  for (const auto& [h, w] :
       std::vector<std::pair<int, int>>{{16, 16}, {17, 15}, {64, 64}, {128, 128}, {129, 128}}) {
    for (int32_t channels : {3, 33}) {
      const PoolGeometry g = {1, h, w, channels, 1, 1, h, w, 1, 1, 0, 0};
      expect_all_equal(g, -128, 127, random.bytes(int64_t{h} * w * channels));
      expect_all_equal(g, -128, 127,
                       std::vector<int8_t>(static_cast<size_t>(h) * w * channels, -128));
      if (HasFatalFailure()) return;
    }
  }
}

// Every quotient that an average can have, next to its ties: sums for up to 64 taps.
TEST(Pool, AveragesRoundHalfAwayFromZero) {
  for (int32_t taps = 1; taps <= 64; ++taps) {
    // Channel c has sum c - 128 * taps.
    const int32_t channels = 255 * taps + 1;
    std::vector<int8_t> input(static_cast<size_t>(taps) * channels);
    for (int32_t c = 0; c < channels; ++c) {
      int32_t rest = c;
      for (int32_t t = 0; t < taps; ++t) {
        const int32_t part = std::min(rest, 255);
        input[static_cast<size_t>(t) * channels + c] = static_cast<int8_t>(part - 128);
        rest -= part;
      }
    }
    expect_all_equal({1, 1, taps, channels, 1, 1, 1, taps, 1, 1, 0, 0}, -128, 127, input);
    if (HasFatalFailure()) return;
  }
}

TEST(Pool, RefusesWindowsWithoutTaps) {
  const PoolGeometry good = {1, 5, 5, 3, 5, 5, 3, 3, 1, 1, 1, 1};
  PoolParams params;
  auto made = [&](auto change) {
    PoolGeometry g = good;
    change(g);
    return make_pool_params(PoolKind::average, g, -128, 127, arch::supported(), &params);
  };
  EXPECT_TRUE(made([](PoolGeometry&) {}));
  EXPECT_FALSE(made([](PoolGeometry& g) { g.pad_top = 3; }));
  EXPECT_FALSE(made([](PoolGeometry& g) { g.out_w = 7; }));
  EXPECT_FALSE(made([](PoolGeometry& g) { g.stride_h = 0; }));
  EXPECT_FALSE(made([](PoolGeometry& g) { g.channels = 0; }));
  EXPECT_FALSE(make_pool_params(PoolKind::max, good, 5, 4, arch::supported(), &params));
}

}  // namespace
}  // namespace int8x
