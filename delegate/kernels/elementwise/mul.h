// MUL of int8 tensors with broadcasting (docs/numerics.md, `mul_run`).
//
//   output = clamp(MBQM((lhs - lhs_zero_point) * (rhs - rhs_zero_point), QM(scale))
//                  + output_zero_point, activation_min, activation_max)
//   scale  = float32(float32(lhs_scale * rhs_scale) / output_scale)
//
// The last sum wraps in 32 bits.

#ifndef INT8X_KERNELS_ELEMENTWISE_MUL_H_
#define INT8X_KERNELS_ELEMENTWISE_MUL_H_

#include <cstddef>
#include <cstdint>

#include "delegate/base/arch.h"
#include "delegate/fixed_point/requantize.h"
#include "delegate/kernels/elementwise/broadcast.h"

namespace int8x {

struct MulQuantization {
  float lhs_scale, rhs_scale, output_scale;
  int32_t lhs_zero_point, rhs_zero_point, output_zero_point;
  int32_t activation_min, activation_max;  // the fused activation, within [-128, 127]
};

struct MulKernel;

struct MulParams {
  Broadcast shape;
  Multiplier output;
  int32_t lhs_zero_point, rhs_zero_point, output_zero_point;
  int32_t activation_min, activation_max;
  const MulKernel* kernel;
};

struct MulKernel {
  arch::Arch arch;
  const char* name;
  // count outputs; an operand with step 0 is one repeated value, with step 1 a row.
  void (*run)(const MulParams&, const int8_t* lhs, int64_t lhs_step, const int8_t* rhs,
              int64_t rhs_step, int8_t* output, int64_t count);
};

struct MulKernelList {
  const MulKernel* kernels;  // best first; the last is the reference
  int count;
};
MulKernelList mul_kernels();

// False on scales that are not finite and positive, on a multiplier that is not finite or is 2^30
// and more, and on shapes that do not broadcast.
bool make_mul_params(const MulQuantization& quantization, const int32_t* lhs_dims, int lhs_rank,
                     const int32_t* rhs_dims, int rhs_rank, arch::ArchSet archs, MulParams* out);

inline size_t mul_scratch_bytes(const MulParams&) { return 0; }
int64_t mul_tiles(const MulParams& params);
// output may be lhs or rhs where that operand has the output's shape.
void mul_run(const MulParams& params, const int8_t* lhs, const int8_t* rhs, int8_t* output,
             int64_t tile_begin, int64_t tile_end, void* scratch);
const char* mul_kernel_name(const MulParams& params);

}  // namespace int8x

#endif  // INT8X_KERNELS_ELEMENTWISE_MUL_H_
