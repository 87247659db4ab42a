// Depthwise convolution, int8 in, int8 out (docs/numerics.md, `depthwise_run`).
//
//   acc[y, x, c]    = bias[c] + sum over i, j of
//                       (input[y * stride_h + i * dilation_h - pad_top,
//                              x * stride_w + j * dilation_w - pad_left, c / depth_multiplier]
//                        - input_zero_point) * filter[i, j, c]        taps outside the input count
//                        0
//   output[y, x, c] = clamp(MBQM(acc, QM(double(input_scale) * double(filter_scale[c])
//                                        / double(output_scale))) + output_zero_point,
//                           output_min, output_max)
//
// acc and the last sum wrap in 32 bits. Tensors are dense NHWC; filter is [kernel_h, kernel_w,
// channels] with channels = in_c * depth_multiplier, as TFLite stores it. Input and output may not
// overlap.
//
// Packing happens once and depends on neither batch, height nor width:
//   DepthwiseWeights weights;
//   void* memory = 64-byte aligned, depthwise_packed_bytes(layer, archs) long;
//   depthwise_pack(layer, archs, memory, &weights);      // memory lives as long as weights
//   make_depthwise_params(&weights, geometry, &params);  // again after every resize
//   depthwise_run(params, input, output, 0, depthwise_tiles(params), scratch);

#ifndef INT8X_KERNELS_DEPTHWISE_DEPTHWISE_H_
#define INT8X_KERNELS_DEPTHWISE_DEPTHWISE_H_

#include <cstddef>
#include <cstdint>

#include "delegate/base/arch.h"
#include "delegate/fixed_point/requantize.h"

namespace int8x {

// What the operator says of itself. The pointers are read by depthwise_pack only.
struct DepthwiseLayer {
  int32_t in_c, depth_multiplier;
  int32_t kernel_h, kernel_w;
  int32_t stride_h, stride_w;
  int32_t dilation_h, dilation_w;
  float input_scale, output_scale;
  int32_t input_zero_point, output_zero_point;
  int32_t output_min, output_max;  // the fused activation, within [-128, 127]
  const float* filter_scales;      // filter_scale_count of them: one, or one for each channel
  int32_t filter_scale_count;
  const int8_t* filter;  // [kernel_h, kernel_w, in_c * depth_multiplier]
  const int32_t* bias;   // [in_c * depth_multiplier], or null
};

struct DepthwiseGeometry {
  int32_t batch;
  int32_t in_h, in_w;
  int32_t out_h, out_w;
  int32_t pad_top, pad_left;
};

struct DepthwiseKernel;
struct DepthwiseParams;

// Packed and immutable; may be shared by any number of DepthwiseParams and threads.
struct DepthwiseWeights {
  DepthwiseLayer layer;  // its pointers are null
  int32_t channels;      // in_c * depth_multiplier
  const void* packed;    // in the kernel's own layout
  const DepthwiseKernel* kernel;
};

struct DepthwiseParams {
  const DepthwiseWeights* weights;
  DepthwiseGeometry geometry;
  int32_t rows_per_tile;      // output rows, the last tile of an image may have fewer
  int32_t channels_per_tile;  // likewise
  int32_t row_tiles, channel_tiles;
};

// One unit of work: output[batch, row_begin .. row_end, :, channel_begin .. channel_end].
struct DepthwiseTile {
  int32_t batch;
  int32_t row_begin, row_end;
  int32_t channel_begin, channel_end;
};

struct DepthwiseKernel {
  arch::Arch arch;
  const char* name;
  int32_t channel_block;  // channel_begin of a tile is a multiple of it
  // Whether this kernel can compute the layer (its filter and bias included).
  bool (*fits)(const DepthwiseLayer&);
  size_t (*packed_bytes)(const DepthwiseLayer&);
  void (*pack)(const DepthwiseLayer&, void* memory);
  size_t (*scratch_bytes)(const DepthwiseParams&);
  void (*run)(const DepthwiseParams&, const int8_t* input, int8_t* output, const DepthwiseTile&,
              void* scratch);
};

struct DepthwiseKernelList {
  const DepthwiseKernel* kernels;  // best first; the last is the reference
  int count;
};
DepthwiseKernelList depthwise_kernels();

// False for what the reference would refuse or abort on: sizes, strides or scales not positive,
// scales not finite, a multiplier of 2^31 and more, a filter_scale_count that is neither 1 nor
// channels, output_min above output_max.
bool depthwise_valid(const DepthwiseLayer& layer);

// The first kernel of the list whose Arch is in `archs` and that fits; never null. The layer must
// be valid.
const DepthwiseKernel* choose_depthwise_kernel(const DepthwiseLayer& layer, arch::ArchSet archs);

size_t depthwise_packed_bytes(const DepthwiseLayer& layer, arch::ArchSet archs);

// False when the layer is not valid; `memory` is 64-byte aligned.
bool depthwise_pack(const DepthwiseLayer& layer, arch::ArchSet archs, void* memory,
                    DepthwiseWeights* out);

// False when a size is not positive or a pad is negative. `weights` must outlive `out`.
bool make_depthwise_params(const DepthwiseWeights* weights, const DepthwiseGeometry& geometry,
                           DepthwiseParams* out);

size_t depthwise_scratch_bytes(const DepthwiseParams& params);  // for each thread, 64-byte aligned
int64_t depthwise_tiles(const DepthwiseParams& params);
void depthwise_run(const DepthwiseParams& params, const int8_t* input, int8_t* output,
                   int64_t tile_begin, int64_t tile_end, void* scratch);
const char* depthwise_kernel_name(const DepthwiseParams& params);

}  // namespace int8x

#endif  // INT8X_KERNELS_DEPTHWISE_DEPTHWISE_H_
