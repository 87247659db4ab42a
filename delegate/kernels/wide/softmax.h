// SOFTMAX of int16 rows; the output has scale 1/32768 and zero point 0 (docs/numerics.md,
// `wide_softmax_run`).
//
//   e(d) = T_exp(clamp16(MBQM(d, QM(float32(input_scale * beta) / (10 / 65535))) + 32767)),
//          d = input - max of the row;  S = sum of e(d), z = its leading zeros
//   r    = T_reciprocal(clamp16(((S << (z - 1)) + 2^13 >> 14) - 2^15 - 2^16))
//   output = clamp((e(d) * r + 2^(30 - z)) >> (31 - z), 0, 32767)
//
// The tables hold exp on [-10, 0] and 1 / (1 + x) on [0, 1] at 513 points, each with half the error
// that linear interpolation has in the middle of its interval.

#ifndef INT8X_KERNELS_WIDE_SOFTMAX_H_
#define INT8X_KERNELS_WIDE_SOFTMAX_H_

#include <cstddef>
#include <cstdint>

#include "delegate/base/arch.h"
#include "delegate/fixed_point/requantize.h"

namespace int8x {

constexpr int kWideTable = 513;

struct WideSoftmaxKernel;

struct WideSoftmaxParams {
  int64_t rows, depth;
  Multiplier multiplier;
  int16_t exponential[kWideTable], reciprocal[kWideTable];
  const WideSoftmaxKernel* kernel;
};

// e(input - max) of `count` elements, and their sum.
struct WideSoftmaxKernel {
  arch::Arch arch;
  const char* name;
  int32_t (*run)(const WideSoftmaxParams&, const int16_t* input, int32_t max, int64_t count,
                 int16_t* exponentials);
};

struct WideSoftmaxKernelList {
  const WideSoftmaxKernel* kernels;  // best first; the last is the reference
  int count;
};
WideSoftmaxKernelList wide_softmax_kernels();

#define INT8X_WIDE_SOFTMAX_KERNEL(arch, name)                                              \
  int32_t name(const WideSoftmaxParams&, const int16_t* input, int32_t max, int64_t count, \
               int16_t* exponentials);
#include "delegate/kernels/wide/kernels.inc"

// The interpolated value at x of a table: 512 intervals of 128.
static inline int32_t wide_table_at(const int16_t* table, int32_t x) {
  const int32_t index = 256 + (x >> 7);
  const int16_t slope = static_cast<int16_t>(table[index + 1] - table[index]);
  return static_cast<int16_t>(table[index] + ((slope * (x & 127) + 64) >> 7));
}

// False when rows or depth is not positive, depth is 2^16 and more, or beta * input_scale is not
// finite and positive.
bool make_wide_softmax_params(float input_scale, float beta, int64_t rows, int64_t depth,
                              arch::ArchSet archs, WideSoftmaxParams* out);

inline size_t wide_softmax_scratch_bytes(const WideSoftmaxParams&) { return 0; }
inline int64_t wide_softmax_tiles(const WideSoftmaxParams& p) { return p.rows; }
void wide_softmax_run(const WideSoftmaxParams& params, const int16_t* input, int16_t* output,
                      int64_t tile_begin, int64_t tile_end, void* scratch);
inline const char* wide_softmax_kernel_name(const WideSoftmaxParams& params) {
  return params.kernel->name;
}

}  // namespace int8x

#endif  // INT8X_KERNELS_WIDE_SOFTMAX_H_
