// The rarer operators on two int8 tensors, with broadcasting (docs/numerics.md, `binary_run`).
//
//   MAXIMUM, MINIMUM    output = max(lhs, rhs), min(lhs, rhs): raw, all of one quantization
//   SQUARED_DIFFERENCE  twice  = float32(2 * max(lhs_scale, rhs_scale))
//                       d      = MBQM((lhs - lhs_zero_point) << 7, QM(double(lhs_scale) / twice))
//                                - the same of rhs
//                       output = clamp(MBQM(d * d, QM(twice * twice / float32(2^14 *
//                       output_scale)))
//                                      + output_zero_point, -128, 127)
//   PRELU               x      = lhs - lhs_zero_point
//                       output = clamp((x >= 0 ? MBQM(x, QM(float32(lhs_scale / output_scale)))
//                                              : MBQM(x * (rhs - rhs_zero_point), QM(float32(
//                                                    float32(lhs_scale * rhs_scale) /
//                                                    output_scale))))
//                                      + output_zero_point, -128, 127)
//
// The last sums wrap in 32 bits.

#ifndef INT8X_KERNELS_ELEMENTWISE_BINARY_H_
#define INT8X_KERNELS_ELEMENTWISE_BINARY_H_

#include <cstddef>
#include <cstdint>

#include "delegate/base/arch.h"
#include "delegate/fixed_point/requantize.h"
#include "delegate/kernels/elementwise/broadcast.h"

namespace int8x {

enum class BinaryKind : uint8_t { maximum, minimum, squared_difference, prelu };

struct BinaryQuantization {
  float lhs_scale, rhs_scale, output_scale;
  int32_t lhs_zero_point, rhs_zero_point, output_zero_point;
};

struct BinaryKernel;

struct BinaryParams {
  Broadcast shape;
  // SQUARED_DIFFERENCE: of lhs, rhs (at most 1/2) and the square (below 1).
  // PRELU: `lhs` of x >= 0, `rhs` of the product.
  Multiplier lhs, rhs, output;
  int32_t lhs_zero_point, rhs_zero_point, output_zero_point;
  const BinaryKernel* kernel;
};

struct BinaryKernel {
  arch::Arch arch;
  BinaryKind kind;
  const char* name;
  // count outputs; an operand with step 0 is one repeated value, with step 1 a row.
  void (*run)(const BinaryParams&, const int8_t* lhs, int64_t lhs_step, const int8_t* rhs,
              int64_t rhs_step, int8_t* output, int64_t count);
};

struct BinaryKernelList {
  const BinaryKernel* kernels;  // best first for each kind; the last of a kind is its reference
  int count;
};
BinaryKernelList binary_kernels();

// False on scales that are not finite and positive, on shapes that do not broadcast, and where the
// reference gives up: quantizations that differ (MAXIMUM, MINIMUM), a square's multiplier of 1 and
// more, a multiplier that is not finite or 2^30 and more (PRELU).
bool make_binary_params(BinaryKind kind, const BinaryQuantization& quantization,
                        const int32_t* lhs_dims, int lhs_rank, const int32_t* rhs_dims,
                        int rhs_rank, arch::ArchSet archs, BinaryParams* out);

inline size_t binary_scratch_bytes(const BinaryParams&) { return 0; }
int64_t binary_tiles(const BinaryParams& params);
// output may be lhs or rhs where that operand has the output's shape.
void binary_run(const BinaryParams& params, const int8_t* lhs, const int8_t* rhs, int8_t* output,
                int64_t tile_begin, int64_t tile_end, void* scratch);
const char* binary_kernel_name(const BinaryParams& params);

}  // namespace int8x

#endif  // INT8X_KERNELS_ELEMENTWISE_BINARY_H_
