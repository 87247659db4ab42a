// int32 sums to int8, one scale per column.
//
//   requantize_s32_s8:         clamp(MBQM(c[i, j] + bias[j], multipliers[j]) + zero_point, min,
//   max) requantize_s32_s8_double:  clamp(int32(round_half_away(double(c[i, j] + bias[j]) *
//   scales[j]))
//                                    + zero_point, min, max)
//
// All sums wrap in int32. int32() of a double out of range is INT32_MIN, on Arm it saturates.

#ifndef INT8X_KERNELS_REQUANTIZE_REQUANTIZE_H_
#define INT8X_KERNELS_REQUANTIZE_REQUANTIZE_H_

#include <stdint.h>

#include "delegate/base/arch.h"
#include "delegate/fixed_point/requantize.h"

namespace int8x {

// c, bias, multipliers and scales are readable up to n rounded up to this many columns.
constexpr int kRequantizeColumns = 16;

struct RequantizeBlock {
  int m, n;          // rows and columns, any number
  const int32_t* c;  // row i starts at element i * c_stride
  int64_t c_stride;
  const int32_t* bias;
  const Multiplier* multipliers;  // for requantize_s32_s8
  const double* scales;           // for requantize_s32_s8_double
  bool narrow;                    // every shift <= 0 and every |c + bias| < 2^30: a shorter way
  int32_t zero_point, min, max;   // in [-128, 127]
  int8_t* out;                    // row i starts at i * out_stride
  int64_t out_stride;
};

// The shortest way that gives the right int8; see the vector headers of delegate/fixed_point.
enum class Rounds { anyhow, narrow, half_up };

inline Rounds rounds_of(bool narrow, int32_t zero_point, int32_t min) {
  if (!narrow) return Rounds::anyhow;
  return min >= zero_point ? Rounds::half_up : Rounds::narrow;
}

struct RequantizeKernel {
  const char* name;
  arch::Arch arch;
  void (*run)(const RequantizeBlock& block);
};

// The best kernel for these instruction sets.
const RequantizeKernel& requantize_kernel(arch::ArchSet archs);
const RequantizeKernel& requantize_double_kernel(arch::ArchSet archs);

// All kernels of this platform, best first; the last is the reference.
const RequantizeKernel* requantize_kernels(int* count);
const RequantizeKernel* requantize_double_kernels(int* count);

// round_half_away(x) to int32 as described above.
int32_t round_to_int32(double x);

#define INT8X_REQUANTIZE_KERNEL(arch, name) void name(const RequantizeBlock& block);
#define INT8X_REQUANTIZE_DOUBLE_KERNEL(arch, name) void name(const RequantizeBlock& block);
#include "delegate/kernels/requantize/kernels.inc"
#undef INT8X_REQUANTIZE_KERNEL
#undef INT8X_REQUANTIZE_DOUBLE_KERNEL

}  // namespace int8x

#endif  // INT8X_KERNELS_REQUANTIZE_REQUANTIZE_H_
