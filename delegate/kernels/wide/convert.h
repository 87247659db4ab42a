// The rarer conversions: QUANTIZE to and from int16 and from float32 to uint8, DEQUANTIZE of int16
// and uint8 (docs/numerics.md, `rescale_run`). Those of int8 are in kernels/convert and
// kernels/lut.
//
//   from float32:  clamp(int32(round_half_away(float32(input / scale))) + zero_point) to the type
//   to float32:    float32(scale * (input - zero_point))
//   else:          clamp(MBQM(input - input_zero_point, QM(double(input_scale) / output_scale))
//                        + zero_point) to the type

#ifndef INT8X_KERNELS_WIDE_CONVERT_H_
#define INT8X_KERNELS_WIDE_CONVERT_H_

#include <cstddef>
#include <cstdint>

#include "delegate/base/shape.h"
#include "delegate/fixed_point/requantize.h"

namespace int8x {

struct RescaleTensor {
  ElementType type;
  float scale;         // of float32 it is not used
  int32_t zero_point;  // likewise
};

struct RescaleParams {
  RescaleTensor input, output;
  Multiplier multiplier;
  int64_t count;
  void (*run)(const RescaleParams&, const void* input, void* output, int64_t begin, int64_t end);
};

// False for types other than those above, scales that are not finite and positive, zero points
// outside their type, a multiplier of 2^30 and more, or no elements.
bool make_rescale_params(const RescaleTensor& input, const RescaleTensor& output, int64_t count,
                         RescaleParams* out);

inline size_t rescale_scratch_bytes(const RescaleParams&) { return 0; }
int64_t rescale_tiles(const RescaleParams& params);
void rescale_run(const RescaleParams& params, const void* input, void* output, int64_t tile_begin,
                 int64_t tile_end, void* scratch);
inline const char* rescale_kernel_name(const RescaleParams&) { return "rescale_reference"; }

}  // namespace int8x

#endif  // INT8X_KERNELS_WIDE_CONVERT_H_
