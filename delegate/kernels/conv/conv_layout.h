// How a convolution is cut into GEMM blocks. Private to the conv family.

#ifndef INT8X_KERNELS_CONV_CONV_LAYOUT_H_
#define INT8X_KERNELS_CONV_CONV_LAYOUT_H_

#include "delegate/kernels/conv/conv_weights.h"

namespace int8x {

// Where the left side of the GEMM comes from.
enum class ConvSource {
  // 1x1, stride 1, no padding, and the kernel takes int8 as it is: the input itself.
  in_place,
  // Input rows copied with their padding, read through a window: output pixels of one row lie
  // stride_w pixels apart and each kernel row is one tap.
  window,
  // One row of k for each output pixel (im2col).
  gather,
};

struct ConvLayout {
  ConvSource source;
  // Window only: the output rows of a tile are the lines of one block.
  bool in_lines;
  // Window only: output rows follow each other at the same distance as output pixels do, so all
  // rows of a tile are one block, and the pixels between them are dropped.
  bool one_block;
  int window_w;        // window only: pixels in a copied row
  int64_t lines;       // what is cut: output pixels, or for a window output rows, batches included
  int64_t tile_lines;  // lines in a tile
  int64_t line_tiles;  // tiles that cover all lines
  int tile_columns;    // output channels of a group in a tile, a multiple of the GEMM's panel
  int64_t column_tiles;
  int64_t lhs_bytes;  // scratch for the left side
};

// Whether output pixel i is computed from input pixel i alone: 1x1, stride 1, no padding.
bool conv_reads_pixels(const ConvWeights& weights, const ConvGeometry& geometry);

// All zero when the output is empty.
ConvLayout conv_layout(const ConvWeights& weights, const ConvGeometry& geometry);

// Copies the pixels [first, first + count) of the output, numbered through batch, row and column,
// as rows of taps * padded_k lhs elements of group `group`.
void conv_gather(const ConvWeights& weights, const ConvGeometry& geometry, int group,
                 const int8_t* input, int64_t first, int64_t count, void* lhs);

// Copies what output rows [y, y + rows) of image `batch` see of group `group`, padding included:
// ((rows - 1) * stride_h + (kernel_h - 1) * dilation_h + 1) rows of window_w pixels.
void conv_copy_window(const ConvWeights& weights, const ConvGeometry& geometry, int window_w,
                      int group, const int8_t* input, int64_t batch, int y, int rows, void* lhs);

}  // namespace int8x

#endif  // INT8X_KERNELS_CONV_CONV_LAYOUT_H_
