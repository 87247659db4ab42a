// What each kernel does in a second, next to what this machine can do.
//
//   peak/<factors>/<arch>
//                      dot-product instructions on registers, no memory: the limit of products
//   gemm/<kernel>/K    one call over a block that stays in the first-level caches
//   conv/<layer>/<arch>, fully_connected/..., depthwise/..., batch_matmul/..., wide/...
//                      whole layers on one thread, requantize included; INT4 weights are unpacked
//                      when a model is loaded and run on the same kernels
//   sparse/<layer>/<zeros>/<arch>
//                      the same layers with that share of the 1x4 blocks at zero; GMAC/s counts
//                      the dense layer's products, "kept GMAC/s" those that are left
//   requantize/<kernel>, observe/<kernel>
//                      196 rows of 512 sums or floats
//   elements/<operator>/<arch>
//                      what has no products, on 56x56x64
//
// "of peak" is the share of the peak of this run. Without products GB/s counts the bytes that must
// be loaded and stored, "of loads+stores" is the share that a loop of those loads and stores alone
// takes of the time. Clocks drift: compare rows of one run only, and take
// --benchmark_repetitions.

#include <benchmark/benchmark.h>

#include "benchmarks/kernels/families.h"
#include "benchmarks/kernels/peak.h"

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  int8x::add_peaks();
  int8x::add_products();
  int8x::add_layers();
  int8x::add_rows();
  int8x::add_elements();
  int8x::add_windows();
  int8x::add_wide_elements();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
