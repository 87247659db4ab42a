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

#include "delegate/fixed_point/requantize.h"

namespace int8x {

constexpr int kWideTable = 513;

struct WideSoftmaxParams {
  int64_t rows, depth;
  Multiplier multiplier;
  int16_t exponential[kWideTable], reciprocal[kWideTable];
};

// False when rows or depth is not positive, depth is 2^16 and more, or beta * input_scale is not
// finite and positive.
bool make_wide_softmax_params(float input_scale, float beta, int64_t rows, int64_t depth,
                              WideSoftmaxParams* out);

inline size_t wide_softmax_scratch_bytes(const WideSoftmaxParams&) { return 0; }
inline int64_t wide_softmax_tiles(const WideSoftmaxParams& p) { return p.rows; }
void wide_softmax_run(const WideSoftmaxParams& params, const int16_t* input, int16_t* output,
                      int64_t tile_begin, int64_t tile_end, void* scratch);
inline const char* wide_softmax_kernel_name(const WideSoftmaxParams&) {
  return "softmax_s16_s16_reference";
}

}  // namespace int8x

#endif  // INT8X_KERNELS_WIDE_SOFTMAX_H_
