// CONV_2D and FULLY_CONNECTED on int8 whose weights are mostly zero, the same integers as conv.h
// and fully_connected.h give:
//
//   acc[p, o] = bias[o] + sum over the kept blocks (t, b) of o, and over i in [0, 4), of
//               (pixel[p, t, 4 b + i] - input_zero_point) * weights[o, t, 4 b + i],  wrapping
//   output[p, o] = clamp(requantize(acc[p, o]) + output_zero_point, min, max)
//
// A block is four consecutive input channels, starting at a multiple of 4, of one output channel at
// one kernel position (tap); it is kept when one of its weights is not zero. pixel[p, t] is what
// tap t sees of output pixel p. Requantize is by multipliers (MBQM) or by scales in double.
//
// The protocol (pack once; scratch, tiles, run) is that of conv.h.

#ifndef INT8X_KERNELS_SPARSE_SPARSE_H_
#define INT8X_KERNELS_SPARSE_SPARSE_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "delegate/base/arch.h"
#include "delegate/fixed_point/requantize.h"

namespace int8x {

// What is fixed when the weights are packed. The pointers are read during packing only.
struct SparseSpec {
  int out_c, taps, in_c;                        // in_c is a multiple of 4
  const int8_t* weights;                        // [out_c][taps][in_c]
  const int32_t* bias;                          // [out_c], or null for zeros
  const Multiplier* multipliers;                // [out_c], or null: then scales
  const double* scales;                         // [scale_count]
  int scale_count;                              // 1 or out_c
  int32_t input_zero_point, output_zero_point;  // in [-128, 127]
  int32_t activation_min, activation_max;       // in [-128, 127], min <= max
  bool by_row = false;  // for a single output pixel of one tap: sparse_by_row() of choice.h
};

// How output pixels see the input. FULLY_CONNECTED on r rows is a 1x1 kernel on a line of r pixels.
struct SparseGeometry {
  int batch;
  int in_h, in_w;
  int out_h, out_w;
  int kernel_h, kernel_w;
  int stride_h, stride_w;
  int dilation_h, dilation_w;
  int pad_top, pad_left;
};

// Immutable, in one aligned allocation; may be shared by threads and by operators.
struct SparseWeights;
struct SparseWeightsDeleter {
  void operator()(const SparseWeights* weights) const;
};
using SparseWeightsPtr = std::unique_ptr<const SparseWeights, SparseWeightsDeleter>;

// Blocks of `weights`, [rows][in_c], that are not all zero; in_c is a multiple of 4.
int64_t sparse_kept_blocks(const int8_t* weights, int64_t rows, int in_c);

// Packs for the best kernel of `archs`. Null when out of memory (or when the sizes overflow).
SparseWeightsPtr sparse_pack(const SparseSpec& spec, arch::ArchSet archs);

// Bytes held by the packed weights.
size_t sparse_weights_bytes(const SparseWeights& weights);

// Blocks that were kept.
int64_t sparse_weights_kept(const SparseWeights& weights);

// The name of the kernel that runs, as kernels.inc spells it.
const char* sparse_kernel_name(const SparseWeights& weights);

// Scratch that each thread needs, to be aligned to 64 bytes.
size_t sparse_scratch_bytes(const SparseWeights& weights, const SparseGeometry& geometry);

// Independent units of work, 0 for an empty output.
int64_t sparse_tiles(const SparseWeights& weights, const SparseGeometry& geometry);

// Computes tiles [tile_begin, tile_end). `input` is [batch][in_h][in_w][in_c], `output` is
// [batch][out_h][out_w][out_c], both dense; they and scratch do not overlap. Each tile writes
// output elements of its own.
void sparse_run(const SparseWeights& weights, const SparseGeometry& geometry, const int8_t* input,
                int8_t* output, int64_t tile_begin, int64_t tile_end, void* scratch);

}  // namespace int8x

#endif  // INT8X_KERNELS_SPARSE_SPARSE_H_
