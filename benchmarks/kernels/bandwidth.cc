#include "benchmarks/kernels/bandwidth.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <tuple>

#include "benchmarks/kernels/data.h"

namespace int8x {
namespace {

// A loop over `loaded` and `stored` bytes in registers of `width` bytes of the class `letter`, four
// at a time. The empty assembly keeps the compiler from leaving a load out and from calling memcpy.
#define INT8X_BYTES_LOOP(name, attributes, width, letter)                                \
  attributes void name(const int8_t* from, int64_t loaded, int8_t* to, int64_t stored) { \
    typedef int8_t Register __attribute__((vector_size(width)));                         \
    constexpr int64_t kStep = 4 * width;                                                 \
    const auto* in = reinterpret_cast<const Register*>(from);                            \
    auto* out = reinterpret_cast<Register*>(to);                                         \
    const int64_t both = std::min(loaded, stored) / kStep * 4;                           \
    const int64_t most = std::max(loaded, stored) / kStep * 4;                           \
    int64_t i = 0;                                                                       \
    for (; i < both; i += 4) {                                                           \
      Register a = in[i], b = in[i + 1], c = in[i + 2], d = in[i + 3];                   \
      asm volatile("" : "+" letter(a), "+" letter(b), "+" letter(c), "+" letter(d));     \
      out[i] = a, out[i + 1] = b, out[i + 2] = c, out[i + 3] = d;                        \
    }                                                                                    \
    Register value = {};                                                                 \
    asm volatile("" : "+" letter(value));                                                \
    if (stored > loaded) {                                                               \
      for (; i < most; i += 4) {                                                         \
        out[i] = value, out[i + 1] = value, out[i + 2] = value, out[i + 3] = value;      \
        asm volatile("" : : "r"(out + i) : "memory");                                    \
      }                                                                                  \
    } else {                                                                             \
      for (; i < most; i += 4) {                                                         \
        const Register a = in[i], b = in[i + 1], c = in[i + 2], d = in[i + 3];           \
        asm volatile("" : : letter(a), letter(b), letter(c), letter(d));                 \
      }                                                                                  \
    }                                                                                    \
  }

#if defined(__x86_64__)
INT8X_BYTES_LOOP(bytes_avx512vnni, __attribute__((target("avx512f"))), 64, "v")
INT8X_BYTES_LOOP(bytes_avx2, __attribute__((target("avx2"))), 32, "x")
#elif defined(__aarch64__)
INT8X_BYTES_LOOP(bytes_neon, , 16, "w")
#endif

struct Loop {
  arch::Arch arch;
  void (*run)(const int8_t* from, int64_t loaded, int8_t* to, int64_t stored);
};

constexpr Loop kLoops[] = {
#if defined(__x86_64__)
    {arch::avx512vnni, bytes_avx512vnni},
    {arch::avx2, bytes_avx2},
#elif defined(__aarch64__)
    {arch::neon, bytes_neon},
#endif
};

// The best of 20 goes of 10 turns.
double measure(const Loop& loop, int64_t loaded, int64_t stored) {
  auto from = bytes(loaded), to = bytes(stored);
  double best = 1e9;
  for (int go = 0; go < 20; ++go) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < 10; ++i) {
      loop.run(from.get(), loaded, to.get(), stored);
      benchmark::ClobberMemory();
    }
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
    best = std::min(best, spent.count() / 10);
  }
  return best;
}

}  // namespace

double seconds_of_bytes(int64_t loaded, int64_t stored, arch::ArchSet archs) {
  static std::map<std::tuple<const Loop*, int64_t, int64_t>, double> measured;
  for (const Loop& loop : kLoops) {
    if (!arch::has(archs & arch::supported(), loop.arch)) continue;
    const auto found = measured.try_emplace({&loop, loaded, stored});
    if (found.second) found.first->second = measure(loop, loaded, stored);
    return found.first->second;
  }
  return 0;
}

void count_bytes(benchmark::State& state, double seconds, const Traffic& traffic,
                 arch::ArchSet archs) {
  const double moved = static_cast<double>(traffic.loaded + traffic.stored);
  state.counters["G outputs/s"] = static_cast<double>(traffic.outputs) / seconds / 1e9;
  state.counters["GB/s"] = moved / seconds / 1e9;
  if (const double alone = seconds_of_bytes(traffic.loaded, traffic.stored, archs)) {
    state.counters["of loads+stores"] = alone / seconds;
  }
}

}  // namespace int8x
