// CONV_2D on int8 NHWC tensors, any grouping, bit-exact to TFLite's reference kernel:
//
//   acc[b, y, x, o] = bias[o] + sum over (ky, kx, c) inside the input of
//                     (input[b, y*stride_h + ky*dilation_h - pad_top,
//                               x*stride_w + kx*dilation_w - pad_left, g*I + c]
//                      - input_zero_point) * weights[o, ky, kx, c],        wrapping in int32
//   output[b, y, x, o] = clamp(MBQM(acc, multipliers[o]) + output_zero_point, min, max)
//
// with I = in_c / groups and g = o / (out_c / groups). Taps outside the input contribute nothing.
//
// Weights are packed once; they do not depend on the input's height, width or batch. A run is cut
// into tiles that may go to any thread in any order, each thread with its own scratch. Runs do not
// allocate, print or start threads.

#ifndef INT8X_KERNELS_CONV_CONV_H_
#define INT8X_KERNELS_CONV_CONV_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "delegate/base/arch.h"
#include "delegate/fixed_point/requantize.h"

namespace int8x {

// What is fixed when the weights are packed. The pointers are read during packing only.
struct ConvSpec {
  int out_c, kernel_h, kernel_w, in_c, groups;  // in_c and out_c are multiples of groups
  const int8_t* weights;                        // [out_c][kernel_h][kernel_w][in_c / groups]
  const int32_t* bias;                          // [out_c], or null for zeros
  const Multiplier* multipliers;                // [out_c]
  int32_t input_zero_point, output_zero_point;  // in [-128, 127]
  int32_t activation_min, activation_max;       // in [-128, 127], min <= max
};

// What a resize may change, and how the kernel moves. in_c, out_c, groups and the kernel's size
// repeat those of the spec.
struct ConvGeometry {
  int batch;
  int in_h, in_w, in_c;
  int out_h, out_w, out_c;
  int kernel_h, kernel_w;
  int stride_h, stride_w;
  int dilation_h, dilation_w;
  int pad_top, pad_left;  // what lies below and right follows from out_h and out_w
  int groups;
};

// Immutable, in one aligned allocation; may be shared by threads and by operators.
struct ConvWeights;
struct ConvWeightsDeleter {
  void operator()(const ConvWeights* weights) const;
};
using ConvWeightsPtr = std::unique_ptr<const ConvWeights, ConvWeightsDeleter>;

// Packs for the best kernel of `archs`. Null when out of memory (or when the sizes overflow).
ConvWeightsPtr conv_pack(const ConvSpec& spec, arch::ArchSet archs);

// Bytes held by the packed weights.
size_t conv_weights_bytes(const ConvWeights& weights);

// As in the spec.
int32_t conv_input_zero_point(const ConvWeights& weights);

// The name of the kernel that runs, as kernels.inc spells it.
const char* conv_kernel_name(const ConvWeights& weights);

// Where the left side of the GEMM comes from.
enum class ConvSource {
  // 1x1, stride 1, no padding, and the kernel takes int8 as it is: the input itself.
  in_place,
  // 1x1 with a stride, and the kernel takes rows in lines: the input itself, one line for an output
  // row.
  strided,
  // Input rows copied with their padding, read through a window: output pixels of one row lie
  // stride_w pixels apart and each kernel row is one tap.
  window,
  // One row of k for each output pixel (im2col).
  gather,
};

// Settled once, since a small run takes less time than this.
struct ConvLayout {
  ConvSource source;
  // Window only: the output rows of a tile are the lines of one block.
  bool in_lines;
  // Window only: output rows follow each other at the same distance as output pixels do, so all
  // rows of a tile are one block, and the pixels between them are dropped.
  bool one_block;
  int window_w;  // window only: pixels in a copied row
  int64_t
      lines;  // what is cut: output pixels, or rows of them where strided or window; all batches
  int64_t tile_lines;   // lines in a tile
  int64_t line_tiles;   // tiles that cover all lines
  int64_t block_tiles;  // tiles of one image that are worked through as one when they come together
  int tile_columns;     // output channels of a group in a tile, a multiple of the GEMM's panel
  int64_t column_tiles;
  int64_t lhs_bytes;  // scratch for the left side
};

// All zero when the output is empty.
ConvLayout conv_layout(const ConvWeights& weights, const ConvGeometry& geometry);

// Scratch that each thread needs, to be aligned to 64 bytes.
size_t conv_scratch_bytes(const ConvWeights& weights, const ConvGeometry& geometry);

// Independent units of work, 0 for an empty output.
int64_t conv_tiles(const ConvWeights& weights, const ConvGeometry& geometry);

// Computes tiles [tile_begin, tile_end). `input` is [batch][in_h][in_w][in_c], `output` is
// [batch][out_h][out_w][out_c], both dense; they and scratch do not overlap. Each tile writes
// output elements of its own.
void conv_run(const ConvWeights& weights, const ConvGeometry& geometry, const int8_t* input,
              int8_t* output, int64_t tile_begin, int64_t tile_end, void* scratch);

void conv_run(const ConvWeights& weights, const ConvGeometry& geometry, const ConvLayout& layout,
              const int8_t* input, int8_t* output, int64_t tile_begin, int64_t tile_end,
              void* scratch);

// The definition above as plain loops over unpacked weights: the truth for every kernel.
void conv_reference(const ConvSpec& spec, const ConvGeometry& geometry, const int8_t* input,
                    int8_t* output);

}  // namespace int8x

#endif  // INT8X_KERNELS_CONV_CONV_H_
