// out[i, j] = requantize(sum over taps and k of lhs[i, t, k] * rhs[t, k, j]): a GEMM whose int32
// sums stay in the first-level cache on their way to int8.

#ifndef INT8X_KERNELS_GEMM_GEMM_REQUANTIZE_H_
#define INT8X_KERNELS_GEMM_GEMM_REQUANTIZE_H_

#include <stdint.h>

#include "delegate/kernels/gemm/gemm.h"
#include "delegate/kernels/requantize/requantize.h"

namespace int8x {

// Where sums go. Of every `period` rows the first `valid` are written, one after the other; the
// rest (the right border of a convolution run over padded rows) is dropped.
struct GemmOutput {
  const int32_t* bias;  // with the corrections of the zero point and of the lhs format
  const Multiplier* multipliers;
  const double* scales;
  bool narrow;
  int32_t zero_point, min, max;
  int8_t* out;
  int64_t out_stride;
  int period, valid;
};

// A GEMM kernel and what turns its sums into int8. `fused` does both at once, for narrow
// fixed-point output; it may be null. Fewer than `least_rest` rows beyond whole tiles go the other
// way, which keeps more sums in flight. `lines`: it takes rows in lines. `fused_row`
// does both for one row and output in double; it may be null.
struct GemmRequantize {
  const GemmKernel* gemm;
  const RequantizeKernel* requantize;
  void (*fused)(const GemmBlock& block, const GemmOutput& output);
  int least_rest;
  bool lines;
  void (*fused_row)(const GemmBlock& block, const GemmOutput& output);
};

// The best kernels for these instruction sets. With `in_double` scales are used, else multipliers.
GemmRequantize gemm_requantize_kernels(arch::ArchSet archs, bool has_minus_128, bool in_double);

// The name of the GEMM kernel that gemm_requantize() runs.
const char* gemm_requantize_name(const GemmRequantize& kernels, bool narrow);

// int32 elements of scratch, for any block.
int64_t gemm_requantize_scratch();

// Whether gemm_requantize() would rather have rows in lines than rows between them that are
// dropped.
bool gemm_requantize_takes_lines(const GemmRequantize& kernels, bool narrow);

// block.c is the scratch, aligned to 64 bytes; block.c_stride is ignored. row_sums may be null;
// else row_sums[i] * row_factor is added to every sum of row i.
void gemm_requantize(const GemmRequantize& kernels, const GemmBlock& block,
                     const GemmOutput& output, const int32_t* row_sums, int32_t row_factor);

#define INT8X_GEMM_REQUANTIZE_KERNEL(arch, name, gemm, least_rest, lines) \
  void name(const GemmBlock& block, const GemmOutput& output);
#define INT8X_GEMV_REQUANTIZE_KERNEL(arch, name, gemm) \
  void name(const GemmBlock& block, const GemmOutput& output);
#define INT8X_GEMM_KERNEL(...)
#include "delegate/kernels/gemm/kernels.inc"
#undef INT8X_GEMM_KERNEL
#undef INT8X_GEMV_REQUANTIZE_KERNEL
#undef INT8X_GEMM_REQUANTIZE_KERNEL

}  // namespace int8x

#endif  // INT8X_KERNELS_GEMM_GEMM_REQUANTIZE_H_
