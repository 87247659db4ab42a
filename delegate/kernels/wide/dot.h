// sums[i][j] = sum over k of lhs[i][k] * rhs[j][k], exact: int16 activations by int8 weights that
// were widened when packed. The building block of 16x8 CONV_2D and FULLY_CONNECTED.

#ifndef INT8X_KERNELS_WIDE_DOT_H_
#define INT8X_KERNELS_WIDE_DOT_H_

#include <stdint.h>

#include "delegate/base/arch.h"

namespace int8x {

constexpr int kWideStep = 32;  // k is a multiple of it

struct WideDot {
  int m, n, k;         // m and n at least 1
  const int16_t* lhs;  // [m][k]
  const int16_t* rhs;  // [n][k], in [-128, 127]
  int64_t* sums;       // row i starts at i * n
};

struct WideDotKernel {
  arch::Arch arch;
  const char* name;
  void (*run)(const WideDot& dot);
};

struct WideDotKernelList {
  const WideDotKernel* kernels;  // best first; the last is the reference
  int count;
};
WideDotKernelList wide_dot_kernels();
const WideDotKernel& wide_dot_kernel(arch::ArchSet archs);

#define INT8X_WIDE_DOT_KERNEL(arch, name) void name(const WideDot& dot);
#include "delegate/kernels/wide/kernels.inc"

}  // namespace int8x

#endif  // INT8X_KERNELS_WIDE_DOT_H_
