// The loop of a benchmark, timed so that a counter can be a share of something else.

#ifndef INT8X_BENCHMARKS_KERNELS_TIMING_H_
#define INT8X_BENCHMARKS_KERNELS_TIMING_H_

#include <benchmark/benchmark.h>

#include <chrono>

namespace int8x {

// Runs `run` as often as the benchmark wants; seconds of one go.
template <typename Run>
double seconds_of(benchmark::State& state, const Run& run) {
  const auto start = std::chrono::steady_clock::now();
  for (auto _ : state) {
    run();
    benchmark::ClobberMemory();
  }
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
  return spent.count() / static_cast<double>(state.iterations());
}

}  // namespace int8x

#endif  // INT8X_BENCHMARKS_KERNELS_TIMING_H_
