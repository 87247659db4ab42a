// What each kernel does in a second, next to what the registers alone can do.
//
//   peak/*             dot-product instructions on registers, no memory: the limit of this machine
//   gemm/<kernel>/K    one call over a block that stays in the first-level caches
//   conv/<layer>/<arch>, fully_connected/<layer>/<arch>, depthwise/..., batch_matmul/..., wide/...
//                      whole layers on one thread, requantize included
//   sparse/<layer>/<zeros>/<arch>
//                      the same layers with that share of the 1x4 blocks at zero; MAC/s counts the
//                      dense layer's, "kept" those that are left
//   elements/<operator>/<arch>
//                      outputs in a second of what has no products
//
// The counter MAC/s counts multiply-accumulates, "of peak" is their share of what peak/* did in
// this run. Clocks drift: compare rows of one run only, and take --benchmark_repetitions.

#include <benchmark/benchmark.h>

#include "benchmarks/kernels/families.h"
#include "benchmarks/kernels/peak.h"

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  int8x::add_peaks();
  int8x::add_products();
  int8x::add_layers();
  int8x::add_elements();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
