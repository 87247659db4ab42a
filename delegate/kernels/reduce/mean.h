// MEAN and SUM of an int8 tensor over any axes (docs/numerics.md, `mean_run`).
//
//   n      = number of inputs that meet in one output
//   (m, e) = QM(double(input_scale) / double(output_scale))
//   k      = min(floor(log2(n)), 32, 31 + e)
//   output = clamp(MBQM(sum(input) - input_zero_point * n, {trunc((m << k) / n), e - k})
//                  + output_zero_point, -128, 127)
//
// The division by n sits in the multiplier, as in the reference; sums wrap in 32 bits. SUM is the
// same with (m, e) itself: the reference, which reads int8 as uint8 there, is wrong.

#ifndef INT8X_KERNELS_REDUCE_MEAN_H_
#define INT8X_KERNELS_REDUCE_MEAN_H_

#include <cstddef>
#include <cstdint>

#include "delegate/base/arch.h"
#include "delegate/fixed_point/requantize.h"
#include "delegate/kernels/reduce/axes.h"

namespace int8x {

struct MeanQuantization {
  float input_scale, output_scale;
  int32_t input_zero_point, output_zero_point;
};

struct MeanKernel;

struct MeanParams : ReduceAxes {
  Multiplier multiplier;
  int32_t offset;  // -input_zero_point * n, wrapped
  int32_t output_zero_point;
  const MeanKernel* kernel;
};

struct MeanKernel {
  arch::Arch arch;
  const char* name;
  // sums[c] += sum over r < rows of input[r * row_stride + c], c < count.
  void (*add_rows)(const int8_t* input, int64_t rows, int64_t row_stride, int64_t count,
                   int32_t* sums);
  // The sum of `count` neighbours.
  int32_t (*sum)(const int8_t* input, int64_t count);
  // Sums to outputs.
  void (*finish)(const MeanParams&, const int32_t* sums, int64_t count, int8_t* output);
};

struct MeanKernelList {
  const MeanKernel* kernels;  // best first; the last is the reference
  int count;
};
MeanKernelList mean_kernels();

// axes may be negative and may repeat. False when one is out of range, rank exceeds kMaxReduceRank,
// an extent is not positive, a scale is not finite and positive, or the multiplier is 2^30 and
// more.
bool make_mean_params(const MeanQuantization& quantization, const int32_t* dims, int rank,
                      const int32_t* axes, int axis_count, arch::ArchSet archs, MeanParams* out);

bool make_sum_params(const MeanQuantization& quantization, const int32_t* dims, int rank,
                     const int32_t* axes, int axis_count, arch::ArchSet archs, MeanParams* out);

inline size_t mean_scratch_bytes(const MeanParams&) { return 0; }
int64_t mean_tiles(const MeanParams& params);
void mean_run(const MeanParams& params, const int8_t* input, int8_t* output, int64_t tile_begin,
              int64_t tile_end, void* scratch);
const char* mean_kernel_name(const MeanParams& params);

}  // namespace int8x

#endif  // INT8X_KERNELS_REDUCE_MEAN_H_
