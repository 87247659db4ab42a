// DEPTHWISE_CONV_2D on int8 NHWC tensors, bit-exact to TFLite's reference kernel (docs/numerics.md,
// `depthwise_run`):
//
//   acc[b, y, x, c] = bias[c] + sum over (ky, kx) inside the input of
//                     (input[b, y*stride_h + ky*dilation_h - pad_top,
//                               x*stride_w + kx*dilation_w - pad_left, c / depth_multiplier]
//                      - input_zero_point) * filter[ky, kx, c],             wrapping in int32
//   output[b, y, x, c] = clamp(MBQM(acc, QM(double(input_scale) * double(filter_scale[c])
//                                           / double(output_scale))) + output_zero_point,
//                              activation_min, activation_max)
//
// Taps outside the input contribute nothing. Packing happens once and depends on neither batch,
// height nor width:
//
//   DepthwiseWeightsPtr weights = depthwise_pack(spec, archs);
//   make_depthwise_params(*weights, geometry, &params);  // again after every resize
//   depthwise_run(params, input, output, 0, depthwise_tiles(params), scratch);

#ifndef INT8X_KERNELS_DEPTHWISE_DEPTHWISE_H_
#define INT8X_KERNELS_DEPTHWISE_DEPTHWISE_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "delegate/base/arch.h"

namespace int8x {

// What is fixed when the weights are packed. The pointers are read during packing only.
struct DepthwiseSpec {
  int32_t in_c, depth_multiplier;
  int32_t kernel_h, kernel_w;
  int32_t stride_h, stride_w;
  int32_t dilation_h, dilation_w;
  const int8_t* filter;  // [kernel_h][kernel_w][in_c * depth_multiplier]
  const int32_t* bias;   // [in_c * depth_multiplier], or null for zeros
  float input_scale, output_scale;
  const float* filter_scales;  // filter_scale_count of them: one, or one for each output channel
  int32_t filter_scale_count;
  int32_t input_zero_point, output_zero_point;  // in [-128, 127]
  int32_t activation_min, activation_max;       // in [-128, 127], min <= max
};

// What a resize may change.
struct DepthwiseGeometry {
  int32_t batch;
  int32_t in_h, in_w;
  int32_t out_h, out_w;
  int32_t pad_top, pad_left;  // what lies below and right follows from out_h and out_w
};

// Immutable, in one aligned allocation; may be shared by threads and by operators.
struct DepthwiseWeights;
struct DepthwiseWeightsDeleter {
  void operator()(const DepthwiseWeights* weights) const;
};
using DepthwiseWeightsPtr = std::unique_ptr<const DepthwiseWeights, DepthwiseWeightsDeleter>;

// False for what the reference would refuse: sizes, strides, dilations or scales that are not
// positive, scales that are not finite, a multiplier of 2^30 and more, a filter_scale_count that is
// neither 1 nor the number of output channels, zero points or activation bounds out of range.
bool depthwise_valid(const DepthwiseSpec& spec);

// Packs for the best kernel of `archs`. Null when the spec is not valid or memory ran out.
DepthwiseWeightsPtr depthwise_pack(const DepthwiseSpec& spec, arch::ArchSet archs);

// Bytes held by the packed weights.
size_t depthwise_weights_bytes(const DepthwiseWeights& weights);

// As in the spec.
int32_t depthwise_input_zero_point(const DepthwiseWeights& weights);

struct DepthwiseParams {
  const DepthwiseWeights* weights;  // must outlive the params
  DepthwiseGeometry geometry;
  int32_t rows_per_tile;      // output rows; the last tile of an image may have fewer
  int32_t channels_per_tile;  // likewise
  int32_t row_tiles, channel_tiles;
};

// False when a size is not positive or a pad is negative.
bool make_depthwise_params(const DepthwiseWeights& weights, const DepthwiseGeometry& geometry,
                           DepthwiseParams* out);

// Scratch that each thread needs, to be aligned to 64 bytes.
size_t depthwise_scratch_bytes(const DepthwiseParams& params);

int64_t depthwise_tiles(const DepthwiseParams& params);

// `input` is [batch][in_h][in_w][in_c], `output` [batch][out_h][out_w][in_c * depth_multiplier],
// both dense; they and scratch do not overlap. Each tile writes output elements of its own.
void depthwise_run(const DepthwiseParams& params, const int8_t* input, int8_t* output,
                   int64_t tile_begin, int64_t tile_end, void* scratch);

// Output rows [row_begin, row_end) of image `batch`, all channels; `output` holds these rows alone.
void depthwise_run_rows(const DepthwiseParams& params, const int8_t* input, int8_t* output,
                        int32_t batch, int32_t row_begin, int32_t row_end, void* scratch);

const char* depthwise_kernel_name(const DepthwiseParams& params);

}  // namespace int8x

#endif  // INT8X_KERNELS_DEPTHWISE_DEPTHWISE_H_
