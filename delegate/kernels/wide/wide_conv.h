// CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED of int16 activations, int8 weights and int64
// biases; zero points are 0 (docs/numerics.md, `wide_conv_run`).
//
//   acc    = sum over (ky, kx, c) inside the input of input * weights + bias           in int64
//   output = clamp(MBQM64(acc, multipliers[o]), min, max), or, `in_double`,
//            clamp(int32(round_half_away(double(acc) * scales[o])), min, max)
//
// FULLY_CONNECTED is a convolution of one pixel by one. A depthwise one has its own sums: channel o
// reads input channel o / multiplier.

#ifndef INT8X_KERNELS_WIDE_WIDE_CONV_H_
#define INT8X_KERNELS_WIDE_WIDE_CONV_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "delegate/fixed_point/requantize.h"
#include "delegate/kernels/wide/dot.h"
#include "delegate/kernels/wide/narrow.h"

namespace int8x {

// What is fixed when the weights are packed.
struct WideConvSpec {
  int out_c, kernel_h, kernel_w, in_c, groups;
  bool depthwise;         // weights [kernel_h][kernel_w][out_c], else [out_c][kernel_h][kernel_w]
  const int8_t* weights;  // [in_c / groups]
  const void* bias;       // int64 [out_c], of any alignment, or null
  const double* scales;   // [out_c]: real multipliers
  bool in_double;
  int32_t activation_min, activation_max;
};

struct WideConvGeometry {
  int batch, in_h, in_w, out_h, out_w;
  int stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
};

// For kernels whose sums stay in 32 bits, see narrow.h; both null where there is none.
struct WideNarrow {
  const WideGemmKernel* gemm = nullptr;
  const WideDepthwiseKernel* depthwise = nullptr;
  int pairs = 0;                 // of a column, or of taps
  std::vector<int16_t> weights;  // as the kernel wants them
  std::vector<WideRounding> rounding;
};

struct WideConvWeights {
  WideConvSpec spec;  // without its pointers
  int padded_k;       // of a group's columns, a multiple of kWideStep
  std::vector<int16_t>
      weights;  // [out_c][padded_k], or as they come when depthwise; none if narrow
  std::vector<int64_t> bias;
  std::vector<double> scales;
  std::vector<Multiplier> multipliers;
  const WideDotKernel* kernel;
  WideNarrow narrow;
};

// Whether the kernels take it: multipliers that MBQM64 holds, sums of a depthwise window in int32.
bool wide_conv_valid(const WideConvSpec& spec);

std::shared_ptr<const WideConvWeights> wide_conv_pack(const WideConvSpec& spec,
                                                      arch::ArchSet archs);
size_t wide_conv_weights_bytes(const WideConvWeights& weights);

struct WideConvParams {
  std::shared_ptr<const WideConvWeights> weights;
  WideConvGeometry geometry;
};

size_t wide_conv_scratch_bytes(const WideConvParams& params);
int64_t wide_conv_tiles(const WideConvParams& params);
void wide_conv_run(const WideConvParams& params, const int16_t* input, int16_t* output,
                   int64_t tile_begin, int64_t tile_end, void* scratch);
const char* wide_conv_kernel_name(const WideConvParams& params);

// The parts that narrow.cc does for wide_conv_pack() and wide_conv_run(): `count` output pixels
// from `first`, in 16-bit multipliers and sums of 32 bits, which wide_sums_are_narrow() proves
// enough.
bool wide_sums_are_narrow(const WideConvWeights& weights);
WideNarrow pack_wide_narrow(const WideConvWeights& weights, arch::ArchSet archs);
size_t wide_narrow_scratch_bytes(const WideConvParams& params);
void wide_narrow_dense(const WideConvParams& params, const int16_t* input, int16_t* output,
                       int64_t first, int count, uint8_t* scratch);
void wide_narrow_depthwise(const WideConvParams& params, const int16_t* input, int16_t* output,
                           int64_t first, int count, uint8_t* scratch);

}  // namespace int8x

#endif  // INT8X_KERNELS_WIDE_WIDE_CONV_H_
