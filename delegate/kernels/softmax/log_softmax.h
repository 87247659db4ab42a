// LOG_SOFTMAX of int8 rows; the output has scale 16/256 and zero point 127 (docs/numerics.md,
// `log_softmax_run`).
//
//   (m, e) = QM(min(input_scale * 2^26, 2^31 - 1))
//   d      = input - max of the row;  z(d) = MBQM(d, {m, e}) in Q5.26
//   S      = sum of RDBP(exp(z(d)), 12) in Q12.19 over the d >= dmin = -floor(31 * 2^26 / 2^e)
//   L      = log(S) in Q5.26, gemmlowp's
//   output = d > max(dmin - 1, MBQM(L - 2^31, QM(2^(31 - e) / m)))
//            ? clamp(RDBP(z(d) - L, 22) + 127, -128, 127) : -128

#ifndef INT8X_KERNELS_SOFTMAX_LOG_SOFTMAX_H_
#define INT8X_KERNELS_SOFTMAX_LOG_SOFTMAX_H_

#include <cstddef>
#include <cstdint>

#include "delegate/fixed_point/requantize.h"

namespace int8x {

// Everything that depends on d alone, for d = 0, -1 .. -255.
struct LogSoftmaxParams {
  int32_t scaled[256];  // z, Q5.26
  int32_t term[256];    // Q12.19; 0 where d is left out of the sum
  int32_t terms;        // d > -terms are in the sum
  Multiplier reverse;   // from Q5.26 back to d
  int64_t rows, depth;
};

// rows * depth elements. False when rows or depth is not positive, depth is 2^12 and more (where
// the sum could leave int32), or input_scale is not finite or not above 2^-26.
bool make_log_softmax_params(float input_scale, int64_t rows, int64_t depth, LogSoftmaxParams* out);

inline size_t log_softmax_scratch_bytes(const LogSoftmaxParams&) { return 0; }
inline int64_t log_softmax_tiles(const LogSoftmaxParams& params) { return params.rows; }
// output may be input.
void log_softmax_run(const LogSoftmaxParams& params, const int8_t* input, int8_t* output,
                     int64_t tile_begin, int64_t tile_end, void* scratch);
inline const char* log_softmax_kernel_name(const LogSoftmaxParams&) {
  return "log_softmax_s8_s8_reference";
}

}  // namespace int8x

#endif  // INT8X_KERNELS_SOFTMAX_LOG_SOFTMAX_H_
