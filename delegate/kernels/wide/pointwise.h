// int16 operators element by element and window by window (docs/numerics.md, `wide_*_run`). Zero
// points are 0.
//
//   ADD       MBQM(MBQM(lhs << 15, QM(lhs_scale / t)) + MBQM(rhs << 15, QM(rhs_scale / t)),
//                  QM(t / float32(2^15 * output_scale))), t = float32(2 * max(lhs_scale,
//                  rhs_scale))
//   MUL       MBQM(lhs * rhs, QM(float32(float32(lhs_scale * rhs_scale) / output_scale)))
//   pools     as in int8: the mean, half away from zero, or the maximum of the valid taps
//   LOGISTIC, TANH   interpolation in a table of 256 entries, see interpolate.cc

#ifndef INT8X_KERNELS_WIDE_POINTWISE_H_
#define INT8X_KERNELS_WIDE_POINTWISE_H_

#include <cstddef>
#include <cstdint>

#include "delegate/base/arch.h"
#include "delegate/fixed_point/requantize.h"

namespace int8x {

constexpr int kMaxWideRank = 6;

struct WideBinaryKernel;

// ADD as one line over both operands, which takes a third of the instructions, wherever that is
// sure to give the same (docs/numerics.md, `wide_add_line_of`):
//
//   v      = lhs * lhs_high + rhs * rhs_high + floor((lhs * lhs_low + rhs * rhs_low) / 2^15)
//            + constant
//   output = clamp(v >> shift) where v mod 2^shift >= doubt; else the definition decides
struct WideAddLine {
  int16_t lhs_high, lhs_low, rhs_high, rhs_low;
  int32_t constant, doubt, shift;
  bool pays;  // doubt is rare; otherwise the line is not to be used
};

struct WideBinaryParams {
  bool multiply;     // else add
  int32_t out_rank;  // as the operands broadcast to it
  int32_t out_dims[kMaxWideRank];
  int32_t rank;  // axes that both operands walk alike are one
  int64_t extent[kMaxWideRank], lhs_stride[kMaxWideRank], rhs_stride[kMaxWideRank];
  int64_t size;
  Multiplier lhs, rhs, output;
  int32_t activation_min, activation_max;
  WideAddLine line;  // of ADD, for kernels with takes_line
  const WideBinaryKernel* kernel;
};

struct WideBinaryKernel {
  arch::Arch arch;
  const char* name;
  bool multiply, takes_line;
  // count outputs; an operand with step 0 is one repeated value, with step 1 a row.
  void (*run)(const WideBinaryParams&, const int16_t* lhs, int64_t lhs_step, const int16_t* rhs,
              int64_t rhs_step, int16_t* output, int64_t count);
};

struct WideBinaryKernelList {
  const WideBinaryKernel* kernels;  // best first; the last of add and of multiply is the reference
  int count;
};
WideBinaryKernelList wide_binary_kernels();

// False on scales that are not finite and positive, where the reference aborts, and on shapes that
// do not broadcast.
bool make_wide_binary_params(bool multiply, float lhs_scale, float rhs_scale, float output_scale,
                             int32_t activation_min, int32_t activation_max,
                             const int32_t* lhs_dims, int lhs_rank, const int32_t* rhs_dims,
                             int rhs_rank, arch::ArchSet archs, WideBinaryParams* out);

// The line of an ADD whose multipliers are set.
WideAddLine wide_add_line_of(const WideBinaryParams& params);

inline size_t wide_binary_scratch_bytes(const WideBinaryParams&) { return 0; }
int64_t wide_binary_tiles(const WideBinaryParams& params);
void wide_binary_run(const WideBinaryParams& params, const int16_t* lhs, const int16_t* rhs,
                     int16_t* output, int64_t tile_begin, int64_t tile_end, void* scratch);
inline const char* wide_binary_kernel_name(const WideBinaryParams& params) {
  return params.kernel->name;
}

#define INT8X_WIDE_BINARY_KERNEL(arch, name, multiply, takes_line)                             \
  void name(const WideBinaryParams&, const int16_t* lhs, int64_t lhs_step, const int16_t* rhs, \
            int64_t rhs_step, int16_t* output, int64_t count);
#include "delegate/kernels/wide/kernels.inc"

// The valid taps of one output pixel.
struct WidePoolWindow {
  const int16_t* input;
  int64_t row_stride;  // elements
  int32_t rows, columns, channels;
  int32_t min, max;
  int16_t* output;
};

struct WidePoolKernel {
  arch::Arch arch;
  const char* name;
  bool average;
  void (*run)(const WidePoolWindow&);
};

struct WidePoolKernelList {
  const WidePoolKernel* kernels;  // best first; the last of each operator is the reference
  int count;
};
WidePoolKernelList wide_pool_kernels();
const WidePoolKernel* wide_pool_kernel(bool average, arch::ArchSet archs);

struct WidePoolParams {
  const WidePoolKernel* kernel;  // says which operator it is
  int32_t batch, in_h, in_w, channels, out_h, out_w;
  int32_t kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left;
  int32_t activation_min, activation_max;
};

// False when a size is not positive, a window can lie outside the input, or the sum of a window
// could leave int32.
bool valid_wide_pool(const WidePoolParams& params);

inline size_t wide_pool_scratch_bytes(const WidePoolParams&) { return 0; }
inline int64_t wide_pool_tiles(const WidePoolParams& p) { return int64_t{p.batch} * p.out_h; }
void wide_pool_run(const WidePoolParams& params, const int16_t* input, int16_t* output,
                   int64_t tile_begin, int64_t tile_end, void* scratch);
inline const char* wide_pool_kernel_name(const WidePoolParams& params) {
  return params.kernel->name;
}

struct WideSigmoidKernel;

// The table's bytes apart. Only the first 64 steps have more than 8 bits.
struct WideSigmoidBytes {
  alignas(64) uint8_t value_low[256], value_high[256];  // of TANH less 2^15
  alignas(64) uint8_t step_low[256], step_high[64];
};

struct WideSigmoidParams {
  bool tanh;  // else the logistic function
  int32_t multiplier, shift;
  int64_t count;
  // Value in the high half, the step to the next one in the low half.
  uint32_t table[256];
  WideSigmoidBytes bytes;
  const WideSigmoidKernel* kernel;
};

struct WideSigmoidKernel {
  arch::Arch arch;
  const char* name;
  void (*run)(const WideSigmoidParams&, const int16_t* input, int16_t* output, int64_t count);
};

struct WideSigmoidKernelList {
  const WideSigmoidKernel* kernels;  // best first; the last is the reference
  int count;
};
WideSigmoidKernelList wide_sigmoid_kernels();

// The vector kernels multiply in 32 bits.
constexpr int32_t kMostSigmoidMultiplier = INT16_MAX;

// False when count is not positive or the scale is not finite and positive.
bool make_wide_sigmoid_params(bool tanh, float input_scale, int64_t count, arch::ArchSet archs,
                              WideSigmoidParams* out);

inline size_t wide_sigmoid_scratch_bytes(const WideSigmoidParams&) { return 0; }
int64_t wide_sigmoid_tiles(const WideSigmoidParams& params);
void wide_sigmoid_run(const WideSigmoidParams& params, const int16_t* input, int16_t* output,
                      int64_t tile_begin, int64_t tile_end, void* scratch);
inline const char* wide_sigmoid_kernel_name(const WideSigmoidParams& params) {
  return params.kernel->name;
}

#define INT8X_WIDE_POOL_KERNEL(arch, name, average) void name(const WidePoolWindow&);
#define INT8X_WIDE_SIGMOID_KERNEL(arch, name) \
  void name(const WideSigmoidParams&, const int16_t* input, int16_t* output, int64_t count);
#include "delegate/kernels/wide/kernels.inc"

}  // namespace int8x

#endif  // INT8X_KERNELS_WIDE_POINTWISE_H_
