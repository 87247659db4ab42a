// SOFTMAX of int8 rows; the output has scale 1/256 and zero point -128 (docs/numerics.md,
// `softmax_run`).
//
//   (m, e) = QM(min(beta * input_scale * 2^26, 2^31 - 1))
//   d      = input - max of the row; left out of the sum, and output -128, when d < -floor(31 *
//   2^26 / 2^e) p(d)   = exp(SRDHM(d << e, m) as Q5.26) in Q0.31, by gemmlowp's fixed-point
//   exponential S      = sum of RDBP(p, 12), Q12.19; z = leading zeros of S in 32 bits r      = 1 /
//   S scaled into [1/2, 1), Q0.31, by three Newton steps output = clamp(RDBP(SRDHM(r, p), 35 - z) -
//   128, -128, 127)
//
// Where S reaches 512 the divisor has more than 31 bits and the reference aborts the process. Every
// quotient is then below one half: the formula, read on, gives -128 everywhere, and so does int8x.

#ifndef INT8X_KERNELS_SOFTMAX_SOFTMAX_H_
#define INT8X_KERNELS_SOFTMAX_SOFTMAX_H_

#include <cstddef>
#include <cstdint>

#include "delegate/base/arch.h"

namespace int8x {

struct SoftmaxKernel;

// All the exponentials there are: p(d) for d = 0, -1 .. -255.
struct SoftmaxParams {
  int32_t exponential[256];  // Q0.31; 0 where d is left out
  int32_t term[256];         // Q12.19, RDBP(exponential, 12)
  int32_t terms;             // d > -terms are in the sum
  int64_t rows;
  int64_t depth;
  const SoftmaxKernel* kernel;
};

struct SoftmaxKernel {
  arch::Arch arch;
  const char* name;
  void (*run)(const SoftmaxParams&, const int8_t* input, int8_t* output);  // one row
};

struct SoftmaxKernelList {
  const SoftmaxKernel* kernels;  // best first; the last is the reference
  int count;
};
SoftmaxKernelList softmax_kernels();

// rows * depth elements, softmax along depth. False when rows or depth is not positive, depth is
// 2^31 and more, or beta * input_scale is not finite or not above 2^-26.
bool make_softmax_params(float input_scale, float beta, int64_t rows, int64_t depth,
                         arch::ArchSet archs, SoftmaxParams* out);

inline size_t softmax_scratch_bytes(const SoftmaxParams&) { return 0; }
int64_t softmax_tiles(const SoftmaxParams& params);  // rows
// output may be input.
void softmax_run(const SoftmaxParams& params, const int8_t* input, int8_t* output,
                 int64_t tile_begin, int64_t tile_end, void* scratch);
const char* softmax_kernel_name(const SoftmaxParams& params);

}  // namespace int8x

#endif  // INT8X_KERNELS_SOFTMAX_SOFTMAX_H_
