// Operators on one 8-bit tensor as a table of 256 bytes (docs/numerics.md, `make_*_lut`):
//
//   output[i] = table[input[i] read as uint8]
//
// so table[q & 255] answers the int8 value q. The makers write the table with the reference's own
// arithmetic; each returns false when the reference would refuse the quantization, or a scale is
// not finite and positive.

#ifndef INT8X_KERNELS_LUT_LUT_H_
#define INT8X_KERNELS_LUT_LUT_H_

#include <cstddef>
#include <cstdint>

#include "delegate/base/arch.h"

namespace int8x {

constexpr int kLutSize = 256;

struct LutQuantization {
  float input_scale, output_scale;
  int32_t input_zero_point, output_zero_point;
};

// round_half_away(f(v) * float32(1 / output_scale)) + output_zero_point in float32, with
// v = float32(input_scale * (q - input_zero_point)). f is
//   logistic  1 / (1 + expf(-v)); the reference wants output_scale == 1/256 exactly
//   tanh      tanhf(v)
//   elu       v < 0 ? expm1f(v) : v
//   exp       expf(v)
//   gelu      0.5 v erfcf(-sqrt(1/2) v), or 0.5 v (1 + tanhf(sqrt(2/pi) (v + 0.044715 v^3)))
bool make_logistic_lut(const LutQuantization& quantization, uint8_t* table);
bool make_tanh_lut(const LutQuantization& quantization, uint8_t* table);
bool make_elu_lut(const LutQuantization& quantization, uint8_t* table);
bool make_exp_lut(const LutQuantization& quantization, uint8_t* table);
// -128 for what is not above zero.
bool make_log_lut(const LutQuantization& quantization, uint8_t* table);
bool make_gelu_lut(const LutQuantization& quantization, bool approximate, uint8_t* table);

// MBQM(q - input_zero_point, QM(float32(input_scale / output_scale))) + output_zero_point, clamped
// to the int8 range and to round_half_away(float32(bound / output_scale)) + output_zero_point.
bool make_relu_lut(const LutQuantization& quantization, uint8_t* table);          // 0 ..
bool make_relu6_lut(const LutQuantization& quantization, uint8_t* table);         // 0 .. 6
bool make_relu_n1_to_1_lut(const LutQuantization& quantization, uint8_t* table);  // -1 .. 1

// MBQM(x, QM(float32(input_scale / output_scale))) + output_zero_point for x = q - input_zero_point
// >= 0; for x < 0 with float32(float32(input_scale * alpha) / output_scale), whose sign is applied
// after the rounding.
bool make_leaky_relu_lut(const LutQuantization& quantization, float alpha, uint8_t* table);

// MBQM(|x|, QM(float32(input_scale / output_scale))) + output_zero_point; |x| alone when the scales
// are equal.
bool make_abs_lut(const LutQuantization& quantization, uint8_t* table);

// x * relu6(x + 3) / 6 in 16 bits: x * 128 times clamp(x / 3, -1, 1) / 2 + 1/2, the last product
// truncated. The reference wants input_scale / 128 < output_scale; right shifts beyond 15 bits are
// refused.
bool make_hard_swish_lut(const LutQuantization& quantization, uint8_t* table);

// MBQM(MBQM(1, inverse_square_root(x) << 20), QM(1 / float32(sqrtf(input_scale) * output_scale)) >>
// 20) + output_zero_point, 127 for x = 0. The reference fails on x < 0: only input_zero_point ==
// -128 is taken, where there is none.
bool make_rsqrt_lut(const LutQuantization& quantization, uint8_t* table);

// QUANTIZE between 8-bit types: MBQM(q - input_zero_point, QM(double(input_scale) /
// double(output_scale))) + output_zero_point, clamped to the output type.
enum class LutType : uint8_t { s8, u8 };
bool make_requantize_lut(const LutQuantization& quantization, LutType input, LutType output,
                         uint8_t* table);

struct LutKernel;

struct LutParams {
  alignas(64) uint8_t table[kLutSize];
  int64_t count;  // elements of the tensor
  // Set when the table is clamp(q, clamp_min, clamp_max) on int8, which needs no table.
  bool is_clamp;
  int8_t clamp_min, clamp_max;
  const LutKernel* kernel;
};

struct LutKernel {
  arch::Arch arch;
  const char* name;
  bool clamps;  // works by clamp_min and clamp_max instead of the table
  void (*run)(const LutParams&, const uint8_t* input, uint8_t* output, int64_t count);
};

struct LutKernelList {
  const LutKernel* kernels;  // best first; the last is the reference
  int count;
};
LutKernelList lut_kernels();

// False when count is not positive.
bool make_lut_params(const uint8_t* table, int64_t count, arch::ArchSet archs, LutParams* out);

inline size_t lut_scratch_bytes(const LutParams&) { return 0; }
int64_t lut_tiles(const LutParams& params);
// output may be input. Unsigned tensors pass their bytes.
void lut_run(const LutParams& params, const int8_t* input, int8_t* output, int64_t tile_begin,
             int64_t tile_end, void* scratch);
const char* lut_kernel_name(const LutParams& params);

}  // namespace int8x

#endif  // INT8X_KERNELS_LUT_LUT_H_
