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

// The bytes of exponential and slope apart, those of entries at even and at odd places too. Only
// the last 128 slopes have more than 8 bits.
struct WideSoftmaxBytes {
  alignas(64) uint8_t value_low[2][256], value_high[2][256];
  alignas(64) uint8_t slope_low[2][256], slope_high[2][64];
};

struct WideSoftmaxParams {
  int64_t rows, depth;
  Multiplier multiplier;
  alignas(64) int16_t exponential[kWideTable];
  alignas(64) int16_t slope[kWideTable - 1];  // exponential[i + 1] - exponential[i], wrapping
  WideSoftmaxBytes bytes;
  int16_t reciprocal[kWideTable];
  const WideSoftmaxKernel* kernel;
};

// One row of `depth` elements; output may be input.
struct WideSoftmaxKernel {
  arch::Arch arch;
  const char* name;
  void (*run)(const WideSoftmaxParams&, const int16_t* input, int16_t* output);
};

struct WideSoftmaxKernelList {
  const WideSoftmaxKernel* kernels;  // best first; the last is the reference
  int count;
};
WideSoftmaxKernelList wide_softmax_kernels();

#define INT8X_WIDE_SOFTMAX_KERNEL(arch, name) \
  void name(const WideSoftmaxParams&, const int16_t* input, int16_t* output);
#include "delegate/kernels/wide/kernels.inc"

// The interpolated value at x of a table: 512 intervals of 128.
static inline int32_t wide_table_at(const int16_t* table, int32_t x) {
  const int32_t index = 256 + (x >> 7);
  const int16_t slope = static_cast<int16_t>(table[index + 1] - table[index]);
  return static_cast<int16_t>(table[index] + ((slope * (x & 127) + 64) >> 7));
}

// What e(d) is multiplied by, and the shift after that: output = clamp((e * factor + half) >>
// right).
struct WideShare {
  int32_t factor, half, right;
};

static inline WideShare wide_share_of(const WideSoftmaxParams& p, int32_t sum) {
  // The largest element alone gives nearly 2^15: there are at most 17 zeros.
  const int zeros = __builtin_clz(static_cast<uint32_t>(sum));
  const int64_t scaled = ((int64_t{sum} << (zeros - 1)) + (1 << 13)) >> 14;
  int32_t x = static_cast<int32_t>(scaled) - (1 << 15) - (1 << 16);
  if (x < INT16_MIN) x = INT16_MIN;
  if (x > INT16_MAX) x = INT16_MAX;
  const int right = 31 - zeros;
  return {wide_table_at(p.reciprocal, x), 1 << (right - 1), right};
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
