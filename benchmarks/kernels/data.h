// Random data for the kernels' benchmarks.

#ifndef INT8X_BENCHMARKS_KERNELS_DATA_H_
#define INT8X_BENCHMARKS_KERNELS_DATA_H_

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <random>

namespace int8x {

struct Free {
  void operator()(void* p) const { std::free(p); }
};

// 64-byte aligned and filled with random bytes, as a runtime's arena would be.
inline std::unique_ptr<int8_t, Free> bytes(size_t count) {
  auto* p = static_cast<int8_t*>(std::aligned_alloc(64, (count + 127) / 64 * 64));
  std::mt19937 random(1);
  for (size_t i = 0; i < count; ++i) p[i] = static_cast<int8_t>(random() % 255 - 127);
  return std::unique_ptr<int8_t, Free>(p);
}

}  // namespace int8x

#endif  // INT8X_BENCHMARKS_KERNELS_DATA_H_
