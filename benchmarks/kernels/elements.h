// How the operators without products are timed: on 56x56x64, in one line for each instruction set.

#ifndef INT8X_BENCHMARKS_KERNELS_ELEMENTS_H_
#define INT8X_BENCHMARKS_KERNELS_ELEMENTS_H_

#include <benchmark/benchmark.h>

#include <string>

#include "benchmarks/kernels/bandwidth.h"
#include "benchmarks/kernels/data.h"
#include "benchmarks/kernels/timing.h"

namespace int8x {

constexpr int32_t kSize = 56, kChannels = 64;
constexpr int32_t kElements = kSize * kSize * kChannels;
constexpr int32_t kShape[] = {kSize, kSize, kChannels};

struct Buffers {
  int8_t *lhs, *rhs, *output;  // kElements floats each
};

// Registers elements/<name>/<arch> for each instruction set of this CPU. `time(state, archs,
// buffers)` returns what time_kernel() does.
template <typename Time>
void add_element_lines(const char* name, const Time& time) {
  for (int a = arch::kArchCount - 1; a > 0; --a) {
    arch::ArchSet archs = 0;
    const char* arch = arch::name(static_cast<arch::Arch>(a));
    if (arch::choose(arch, &archs) != arch::Choice::ok) continue;
    const std::string title = std::string("elements/") + name + "/" + arch;
    benchmark::RegisterBenchmark(title.c_str(), [time, archs](benchmark::State& state) {
      auto lhs = bytes(kElements * sizeof(float)), rhs = bytes(kElements * sizeof(float));
      auto output = bytes(kElements * sizeof(float));
      const auto timed = time(state, archs, Buffers{lhs.get(), rhs.get(), output.get()});
      count_bytes(state, timed.seconds, timed.traffic, archs);
    });
  }
}

// What running a kernel in the benchmark's loop gave.
struct Timed {
  double seconds;  // of one go
  Traffic traffic;
};

// Times `run`; the line shows the kernel's name.
template <typename Run>
Timed time_kernel(benchmark::State& state, const char* kernel, const Traffic& traffic,
                  const Run& run) {
  const double seconds = seconds_of(state, run);
  state.SetLabel(kernel);
  return {seconds, traffic};
}

template <typename To>
To* as(int8_t* p) {
  return reinterpret_cast<To*>(p);
}

}  // namespace int8x

#endif  // INT8X_BENCHMARKS_KERNELS_ELEMENTS_H_
