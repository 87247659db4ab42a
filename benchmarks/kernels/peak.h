// What the registers alone can do: dot-product instructions without memory, the limit of this
// machine, measured in the run that it is compared with.

#ifndef INT8X_BENCHMARKS_KERNELS_PEAK_H_
#define INT8X_BENCHMARKS_KERNELS_PEAK_H_

#include <benchmark/benchmark.h>

#include "delegate/base/arch.h"

namespace int8x {

enum class Factors { s8, s16 };  // what a product is of

// Multiply-accumulates a second of the best instruction set in `archs`; 0 where there is no loop.
double peak_of(Factors factors, arch::ArchSet archs);

// Counters of a benchmark that did `products` in `seconds`: GMAC/s, and their share of the peak.
void count_products(benchmark::State& state, double seconds, double products, arch::ArchSet archs,
                    Factors factors = Factors::s8);

// Registers peak/<factors>/<arch>.
void add_peaks();

}  // namespace int8x

#endif  // INT8X_BENCHMARKS_KERNELS_PEAK_H_
