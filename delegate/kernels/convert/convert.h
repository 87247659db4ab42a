// QUANTIZE float32 to int8 and DEQUANTIZE int8 to float32 (docs/numerics.md, `quantize_run`,
// `dequantize_run`). Between two 8-bit types QUANTIZE is a table: kernels/lut, make_requantize_lut.
//
//   quantize:   output = clamp(int32(round_half_away(float32(input / scale))) + zero_point,
//                              -128, 127)                         a true float32 division
//   dequantize: output = float32(scale * (input - zero_point))    one rounding
//
// int32() of NaN and of anything outside the int32 range is INT32_MIN, and the sum wraps, as in the
// reference on x86: on every CPU, infinities and NaN give -128, or 127 for zero_point < 0.

#ifndef INT8X_KERNELS_CONVERT_CONVERT_H_
#define INT8X_KERNELS_CONVERT_CONVERT_H_

#include <cstddef>
#include <cstdint>

#include "delegate/base/arch.h"

namespace int8x {

struct QuantizeKernel;
struct DequantizeKernel;

struct QuantizeParams {
  float scale;
  int32_t zero_point;
  int64_t count;
  const QuantizeKernel* kernel;
};

struct DequantizeParams {
  float scale;
  int32_t zero_point;
  int64_t count;
  const DequantizeKernel* kernel;
};

struct QuantizeKernel {
  arch::Arch arch;
  const char* name;
  void (*run)(const QuantizeParams&, const float* input, int8_t* output, int64_t count);
};

struct DequantizeKernel {
  arch::Arch arch;
  const char* name;
  void (*run)(const DequantizeParams&, const int8_t* input, float* output, int64_t count);
};

struct QuantizeKernelList {
  const QuantizeKernel* kernels;  // best first; the last is the reference
  int count;
};
struct DequantizeKernelList {
  const DequantizeKernel* kernels;  // best first; the last is the reference
  int count;
};
QuantizeKernelList quantize_kernels();
DequantizeKernelList dequantize_kernels();

// False when the scale is not finite and positive, the zero point is no int8, or count is not
// positive.
bool make_quantize_params(float scale, int32_t zero_point, int64_t count, arch::ArchSet archs,
                          QuantizeParams* out);
bool make_dequantize_params(float scale, int32_t zero_point, int64_t count, arch::ArchSet archs,
                            DequantizeParams* out);

inline size_t quantize_scratch_bytes(const QuantizeParams&) { return 0; }
int64_t quantize_tiles(const QuantizeParams& params);
void quantize_run(const QuantizeParams& params, const float* input, int8_t* output,
                  int64_t tile_begin, int64_t tile_end, void* scratch);
const char* quantize_kernel_name(const QuantizeParams& params);

inline size_t dequantize_scratch_bytes(const DequantizeParams&) { return 0; }
int64_t dequantize_tiles(const DequantizeParams& params);
void dequantize_run(const DequantizeParams& params, const int8_t* input, float* output,
                    int64_t tile_begin, int64_t tile_end, void* scratch);
const char* dequantize_kernel_name(const DequantizeParams& params);

}  // namespace int8x

#endif  // INT8X_KERNELS_CONVERT_CONVERT_H_
