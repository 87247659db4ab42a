// Every GEMM kernel equals a plain triple loop, at sizes around its tile and with extreme values.

#include "delegate/kernels/gemm/gemm.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include "gtest/gtest.h"

namespace int8x {
namespace {

constexpr unsigned kSeed = 20240611;

struct Free {
  void operator()(void* p) const { std::free(p); }
};

template <typename T>
std::unique_ptr<T, Free> aligned(size_t count) {
  void* p = std::aligned_alloc(64, (count * sizeof(T) + 63) / 64 * 64 + 64);
  return std::unique_ptr<T, Free>(static_cast<T*>(p));
}

enum class Values { random, lowest, highest, mixed_extremes };

int8_t draw(std::mt19937& random, Values values, int8_t lowest) {
  switch (values) {
    case Values::lowest:
      return lowest;
    case Values::highest:
      return 127;
    case Values::mixed_extremes:
      return random() % 2 ? lowest : 127;
    default:
      return static_cast<int8_t>(lowest + static_cast<int>(random() % (128 - lowest)));
  }
}

struct Case {
  int m, n, taps, k;
  Values values;
};

void check(const GemmKernel& kernel, const Case& at) {
  SCOPED_TRACE(testing::Message() << kernel.name << " m " << at.m << " n " << at.n << " taps "
                                  << at.taps << " k " << at.k << " values "
                                  << static_cast<int>(at.values));
  std::mt19937 random(kSeed + at.m * 131 + at.n * 17 + at.k);
  const int8_t lowest_weight = kernel.weights_above_minus_128 ? -127 : -128;
  std::vector<int8_t> lhs(static_cast<size_t>(at.m) * at.taps * at.k);
  std::vector<int8_t> weights(static_cast<size_t>(at.n) * at.taps * at.k);
  for (int8_t& v : lhs) v = draw(random, at.values, -128);
  for (int8_t& v : weights) v = draw(random, at.values, lowest_weight);

  const int padded_k = gemm_padded_k(kernel, at.k);
  ASSERT_GE(padded_k, at.k);
  auto packed = aligned<int8_t>(gemm_packed_rhs_bytes(kernel, at.n, at.taps, at.k));
  gemm_pack_rhs(kernel, at.n, at.taps, at.k, weights.data(), packed.get());

  // Taps lie in reverse order with a gap between them; what pads k is filled with a value that
  // would show if a weight there were not 0.
  const int element = bytes_of(kernel.lhs);
  const int64_t tap_bytes = static_cast<int64_t>(padded_k + 5) * element;
  const int64_t stride = tap_bytes * at.taps + 2 * element;
  auto rows_of_lhs = aligned<uint8_t>(static_cast<size_t>(at.m) * stride);
  gemm_fill_lhs(kernel.lhs, rows_of_lhs.get(), 77, at.m * stride / element);
  std::vector<int64_t> offsets(at.taps);
  for (int t = 0; t < at.taps; ++t) offsets[t] = (at.taps - 1 - t) * tap_bytes;
  for (int i = 0; i < at.m; ++i)
    for (int t = 0; t < at.taps; ++t)
      gemm_copy_lhs(kernel.lhs, rows_of_lhs.get() + i * stride + offsets[t],
                    lhs.data() + (static_cast<int64_t>(i) * at.taps + t) * at.k, at.k);

  const int64_t c_stride = (at.n + kernel.panel - 1) / kernel.panel * kernel.panel + 3;
  auto c = aligned<int32_t>(static_cast<size_t>(at.m) * c_stride);
  kernel.run({at.m, at.n, at.taps, padded_k, rows_of_lhs.get(), stride, offsets.data(),
              packed.get(), c.get(), c_stride});

  const int depth = at.taps * at.k;
  for (int i = 0; i < at.m; ++i) {
    for (int j = 0; j < at.n; ++j) {
      int32_t expected = 0, column = 0;
      for (int k = 0; k < depth; ++k) {
        expected += lhs[i * depth + k] * weights[j * depth + k];
        column += weights[j * depth + k];
      }
      expected += lhs_offset(kernel.lhs) * column;
      ASSERT_EQ(c.get()[i * c_stride + j], expected) << "row " << i << " column " << j;
    }
  }
}

template <typename Check>
void on_each_kernel(Check check) {
  int count;
  const GemmKernel* kernels = gemm_kernels(&count);
  for (int i = 0; i < count; ++i) {
    if (arch::has(arch::supported(), kernels[i].arch)) {
      check(kernels[i]);
      if (testing::Test::HasFatalFailure()) return;
    } else {
      std::printf("not run on this CPU: %s\n", kernels[i].name);
    }
  }
}

std::set<int> around(int tile) { return {1, 2, tile - 1, tile, tile + 1, 2 * tile + 3}; }

TEST(Gemm, EveryKernelEqualsTheLoopAroundItsTile) {
  std::printf("seed %u\n", kSeed);
  on_each_kernel([](const GemmKernel& kernel) {
    for (int m : around(kernel.mr)) {
      for (int n : around(kernel.nr)) {
        if (m == 0 || n == 0) continue;
        for (int k : {1, kernel.kr, kernel.kr + 1, 67}) {
          ASSERT_NO_FATAL_FAILURE(check(kernel, {m, n, 1, k, Values::random}));
        }
      }
    }
  });
}

TEST(Gemm, EveryKernelEqualsTheLoopForEveryRowCountOfItsTile) {
  on_each_kernel([](const GemmKernel& kernel) {
    for (int m = 1; m <= kernel.mr; ++m) {
      ASSERT_NO_FATAL_FAILURE(check(kernel, {m, kernel.nr + 1, 1, 21, Values::random}));
    }
  });
}

TEST(Gemm, EveryKernelEqualsTheLoopForEveryDepthTo150) {
  on_each_kernel([](const GemmKernel& kernel) {
    for (int k = 1; k <= 150; ++k) {
      ASSERT_NO_FATAL_FAILURE(
          check(kernel, {kernel.mr + 1, 2 * kernel.panel + 1, 1, k, Values::random}));
    }
  });
}

TEST(Gemm, EveryKernelReadsTapsAtTheirOffsets) {
  on_each_kernel([](const GemmKernel& kernel) {
    for (int taps : {2, 3, 7}) {
      for (int k : {1, 3, 9, 16, 65, 130}) {
        ASSERT_NO_FATAL_FAILURE(
            check(kernel, {kernel.mr + 2, kernel.nr + 2, taps, k, Values::random}));
      }
    }
  });
}

TEST(Gemm, EveryKernelIsExactOnExtremeValues) {
  on_each_kernel([](const GemmKernel& kernel) {
    for (Values values : {Values::lowest, Values::highest, Values::mixed_extremes}) {
      for (int k : {1, 15, 64, 200, 9000}) {
        ASSERT_NO_FATAL_FAILURE(check(kernel, {kernel.mr + 1, kernel.nr + 1, 1, k, values}));
      }
    }
  });
}

TEST(Gemm, DispatchTakesTheFirstAllowedKernel) {
  int count;
  const GemmKernel* kernels = gemm_kernels(&count);
  EXPECT_EQ(kernels[count - 1].arch, arch::reference);
  for (int i = 0; i < count; ++i) {
    const arch::ArchSet only = arch::bit(kernels[i].arch) | arch::bit(arch::reference);
    EXPECT_EQ(gemm_kernel(only, false).arch, kernels[i].arch);
    EXPECT_FALSE(gemm_kernel(only, true).weights_above_minus_128);
  }
  EXPECT_EQ(gemm_kernel(0, false).arch, arch::reference);
}

}  // namespace
}  // namespace int8x
