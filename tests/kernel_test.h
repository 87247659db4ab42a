// What the kernel tests share: random data with many ties and extremes, and the kernels to run.

#ifndef INT8X_TESTS_KERNEL_TEST_H_
#define INT8X_TESTS_KERNEL_TEST_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "delegate/base/arch.h"
#include "gtest/gtest.h"

namespace int8x {

constexpr uint32_t kSeed = 20240607;

class Random {
 public:
  explicit Random(uint32_t seed = kSeed) : engine_(seed) {}

  // In [low, high].
  int32_t integer(int32_t low, int32_t high) {
    return std::uniform_int_distribution<int32_t>(low, high)(engine_);
  }
  float real(float low, float high) {
    return std::uniform_real_distribution<float>(low, high)(engine_);
  }
  int32_t pick(std::initializer_list<int32_t> values) {
    return values.begin()[integer(0, static_cast<int32_t>(values.size()) - 1)];
  }
  bool chance(int percent) { return integer(1, 100) <= percent; }

  // A scale; often a power of two, so that products fall on ties.
  float scale(int low_log2, int high_log2) {
    const int log2 = integer(low_log2, high_log2);
    return std::ldexp(chance(50) ? 1.0f : real(0.5f, 1.0f), log2);
  }

  // int8 values; sometimes nothing but the extremes.
  std::vector<int8_t> bytes(int64_t count, int32_t low = INT8_MIN, int32_t high = INT8_MAX) {
    return values<int8_t>(count, low, high, 20);
  }

  // int16 values; more often nothing but the extremes.
  std::vector<int16_t> words(int64_t count, int32_t low = INT16_MIN, int32_t high = INT16_MAX) {
    return values<int16_t>(count, low, high, 30);
  }

 private:
  template <typename T>
  std::vector<T> values(int64_t count, int32_t low, int32_t high, int percent_extremes) {
    const bool extremes = chance(percent_extremes);
    std::vector<T> out(static_cast<size_t>(count));
    for (T& x : out) {
      x = static_cast<T>(extremes ? (chance(50) ? low : high) : integer(low, high));
    }
    return out;
  }

  std::mt19937 engine_;
};

// The kernels of a family's list that this CPU can run; names the others.
template <typename List>
auto runnable(const List& list) {
  std::vector<decltype(list.kernels)> out;
  for (int i = 0; i < list.count; ++i) {
    if (arch::has(arch::supported(), list.kernels[i].arch)) {
      out.push_back(&list.kernels[i]);
    } else {
      std::printf("not run on this CPU: %s\n", list.kernels[i].name);
    }
  }
  return out;
}

// The first runnable kernel of a list is what params made for `set` would use.
template <typename List>
const char* first_name(const List& list, arch::ArchSet set) {
  for (int i = 0; i < list.count; ++i) {
    if (arch::has(set | arch::bit(arch::reference), list.kernels[i].arch)) {
      return list.kernels[i].name;
    }
  }
  return "";
}

// The outputs of `run(output, tile_begin, tile_end, scratch)` over all tiles, last to first,
// `at_once` in a call and each call on fresh scratch, with guards around output and scratch.
template <typename Run>
std::vector<int8_t> guarded_run(size_t size, size_t scratch_bytes, int64_t tiles, int64_t at_once,
                                const Run& run) {
  constexpr size_t kGuard = 64;
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };
  std::vector<int8_t> out(size + 2 * kGuard, 55);
  const size_t allocated = (scratch_bytes + kGuard + 63) / 64 * 64;
  for (int64_t end = tiles; end > 0; end -= at_once) {
    std::unique_ptr<uint8_t, Free> scratch(
        static_cast<uint8_t*>(std::aligned_alloc(64, allocated)));
    std::fill(scratch.get(), scratch.get() + allocated, 0xa5);
    run(out.data() + kGuard, std::max<int64_t>(0, end - at_once), end, scratch.get());
    for (size_t i = scratch_bytes; i < allocated; ++i) EXPECT_EQ(scratch.get()[i], 0xa5);
  }
  for (size_t i = 0; i < kGuard; ++i) {
    EXPECT_EQ(out[i], 55);
    EXPECT_EQ(out[kGuard + size + i], 55);
  }
  return std::vector<int8_t>(out.begin() + kGuard, out.end() - kGuard);
}

}  // namespace int8x

#endif  // INT8X_TESTS_KERNEL_TEST_H_
