// How a convolution is cut into GEMM blocks. Private to the conv family.

#ifndef INT8X_KERNELS_CONV_CONV_LAYOUT_H_
#define INT8X_KERNELS_CONV_CONV_LAYOUT_H_

#include "delegate/kernels/conv/conv_weights.h"

namespace int8x {

// Whether output pixel i is computed from input pixel i alone: 1x1, stride 1, no padding.
bool conv_reads_pixels(const ConvWeights& weights, const ConvGeometry& geometry);

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
