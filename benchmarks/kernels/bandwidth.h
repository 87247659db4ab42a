// What loads and stores alone can do: the limit of kernels that have no products, measured in the
// run that they are compared with.

#ifndef INT8X_BENCHMARKS_KERNELS_BANDWIDTH_H_
#define INT8X_BENCHMARKS_KERNELS_BANDWIDTH_H_

#include <benchmark/benchmark.h>

#include <cstdint>

#include "delegate/base/arch.h"

namespace int8x {

// What one iteration of a benchmark does.
struct Traffic {
  int64_t outputs;         // elements
  int64_t loaded, stored;  // bytes
};

// Seconds of a loop that moves as many bytes from one buffer to another as are both loaded and
// stored, and only loads or only stores the rest, in the widest registers of `archs`; both buffers
// are warm.
double seconds_of_bytes(int64_t loaded, int64_t stored, arch::ArchSet archs);

// Counters of a benchmark that moved `traffic` in `seconds`: outputs and bytes a second, and the
// share that the time of those loads and stores alone has in its own.
void count_bytes(benchmark::State& state, double seconds, const Traffic& traffic,
                 arch::ArchSet archs);

}  // namespace int8x

#endif  // INT8X_BENCHMARKS_KERNELS_BANDWIDTH_H_
