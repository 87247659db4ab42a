// ADD and SUB of int8 tensors with broadcasting (docs/numerics.md, `add_run`).
//
//   twice  = float32(2 * max(lhs_scale, rhs_scale))
//   a      = MBQM((lhs - lhs_zero_point) << 20, QM(double(lhs_scale) / twice))      b likewise
//   output = clamp(MBQM(a + b, QM(twice / float32(2^20 * output_scale))) + output_zero_point,
//                  activation_min, activation_max)                 SUB: a - b

#ifndef INT8X_KERNELS_ELEMENTWISE_ADD_H_
#define INT8X_KERNELS_ELEMENTWISE_ADD_H_

#include <cstddef>
#include <cstdint>

#include "delegate/base/arch.h"
#include "delegate/fixed_point/requantize.h"
#include "delegate/kernels/elementwise/broadcast.h"

namespace int8x {

struct AddQuantization {
  float lhs_scale, rhs_scale, output_scale;
  int32_t lhs_zero_point, rhs_zero_point, output_zero_point;
  int32_t activation_min, activation_max;  // the fused activation, within [-128, 127]
  bool subtract = false;
};

struct AddKernel;

// The same as one line over both operands, which takes a third of the instructions:
//
//   output = clamp((H + floor(L / 2^15) + constant) >> shift, activation_min, activation_max)
//   H = 2^8 * (lhs * lhs_high + rhs * rhs_high),  L likewise with _low,  all in int32
//
// `exact` only where this equals the definition for each of the 65536 pairs of int8.
struct AddLine {
  int16_t lhs_high, lhs_low, rhs_high, rhs_low;
  int32_t constant, shift;
  bool exact;
};

struct AddParams {
  Broadcast shape;
  Multiplier lhs, rhs, output;  // lhs and rhs at most 1/2, output below 1
  int32_t lhs_zero_point, rhs_zero_point, output_zero_point;
  int32_t activation_min, activation_max;
  bool subtract;
  AddLine line;  // for kernels with takes_line; otherwise not exact
  const AddKernel* kernel;
};

struct AddKernel {
  arch::Arch arch;
  const char* name;
  bool takes_line;
  // count outputs; an operand with step 0 is one repeated value, with step 1 a row.
  void (*run)(const AddParams&, const int8_t* lhs, int64_t lhs_step, const int8_t* rhs,
              int64_t rhs_step, int8_t* output, int64_t count);
};

struct AddKernelList {
  const AddKernel* kernels;  // best first; the last is the reference
  int count;
};
AddKernelList add_kernels();

// False where the reference aborts (max(lhs_scale, rhs_scale) / 2^19 >= output_scale), on scales
// that are not finite and positive, and on shapes that do not broadcast.
bool make_add_params(const AddQuantization& quantization, const int32_t* lhs_dims, int lhs_rank,
                     const int32_t* rhs_dims, int rhs_rank, arch::ArchSet archs, AddParams* out);

// The line of parameters that are complete otherwise; not exact where there is none.
AddLine add_line_of(const AddParams& params);

inline size_t add_scratch_bytes(const AddParams&) { return 0; }
int64_t add_tiles(const AddParams& params);
// output may be lhs or rhs where that operand has the output's shape.
void add_run(const AddParams& params, const int8_t* lhs, const int8_t* rhs, int8_t* output,
             int64_t tile_begin, int64_t tile_end, void* scratch);
const char* add_kernel_name(const AddParams& params);

}  // namespace int8x

#endif  // INT8X_KERNELS_ELEMENTWISE_ADD_H_
