// Rough nanoseconds of work on one fast core, by the best instruction set that may run: what
// decides whether a step is worth a second thread. Measured with benchmarks/kernels and rounded.

#ifndef INT8X_PLAN_COST_H_
#define INT8X_PLAN_COST_H_

#include <cstdint>

#include "delegate/base/arch.h"

namespace int8x {

// Multiply-accumulates of a dense matrix product.
inline int64_t product_nanoseconds(int64_t macs, arch::ArchSet archs) {
  if (arch::has(archs, arch::avx512amx)) return macs / 1000;
  if (arch::has(archs, arch::avx512vnni)) return macs / 225;
  if (arch::has(archs, arch::avxvnni)) return macs / 150;
  if (arch::has(archs, arch::avx2)) return macs / 60;
  if (arch::has(archs, arch::neondot)) return macs / 40;
  if (arch::has(archs, arch::neon)) return macs / 10;
  return macs;
}

// Multiply-accumulates of a depthwise convolution.
inline int64_t depthwise_nanoseconds(int64_t macs, arch::ArchSet archs) {
  if (arch::has(archs, arch::avx512vnni)) return macs / 45;
  if (arch::has(archs, arch::avx2)) return macs / 15;
  if (arch::has(archs, arch::neon)) return macs / 4;
  return macs;
}

// Bytes looked up in a table of 256.
inline int64_t table_nanoseconds(int64_t bytes, arch::ArchSet archs) {
  if (arch::has(archs, arch::avx512vbmi)) return bytes / 50;
  if (arch::has(archs, arch::avx512vnni)) return bytes / 9;
  return bytes / 4;
}

}  // namespace int8x

#endif  // INT8X_PLAN_COST_H_
