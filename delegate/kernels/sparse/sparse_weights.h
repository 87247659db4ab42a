// What sparse_pack() makes, and how a run is cut. Private to the sparse family.

#ifndef INT8X_KERNELS_SPARSE_SPARSE_WEIGHTS_H_
#define INT8X_KERNELS_SPARSE_SPARSE_WEIGHTS_H_

#include <vector>

#include "delegate/kernels/requantize/requantize.h"
#include "delegate/kernels/sparse/leaf.h"
#include "delegate/kernels/sparse/sparse.h"

namespace int8x {

// The blocks of all taps are numbered through, tap by tap, and cut into chunks of kSparseChunk. The
// lists go chunk by chunk, in a chunk channel by channel, in a channel by block.
struct SparseWeights {
  size_t bytes;
  const SparseKernel* kernel;
  const RequantizeKernel* requantize;
  int out_c, taps, in_c;
  int blocks, chunks;
  int64_t kept;
  bool narrow;  // see RequantizeBlock
  int32_t input_zero_point, output_zero_point, activation_min, activation_max;
  const uint32_t* ends;           // [chunks][out_c + 1]
  const uint8_t* list;            // [kept]
  const void* weights;            // [kept][4]
  const int32_t* bias;            // with all of acc that does not depend on the input
  const Multiplier* multipliers;  // one for each channel, or null
  const double* scales;           // the same
  // With a row kernel chunks are of kSparseRowChunk blocks, and weights, list and counts are what
  // SparseRow says; `ends` are the entries before each panel, [panels + 1].
  const SparseRowKernel* by_row;
  const uint8_t* counts;
};

constexpr int sparse_panels(int out_c) { return (out_c + kSparseRowPanel - 1) / kSparseRowPanel; }

// The parts of sparse_pack(), sparse_run() and what goes with it for a row kernel.
std::vector<uint8_t> sparse_row_counts(const SparseSpec& spec);
void write_sparse_rows(const SparseSpec& spec, const std::vector<uint8_t>& counts, uint32_t* ends,
                       uint8_t* places, int8_t* weights);
size_t sparse_row_scratch_bytes(const SparseWeights& weights);
int64_t sparse_row_tiles(const SparseWeights& weights, const SparseGeometry& geometry);
void sparse_row_run(const SparseWeights& weights, const SparseGeometry& geometry,
                    const int8_t* input, int8_t* output, int64_t tile_begin, int64_t tile_end,
                    void* scratch);

// Tiles are pixels by channels; pixels are those of all images, numbered through.
struct SparseCut {
  int64_t pixels, pixel_tiles;
  int tile_pixels;  // a multiple of the kernel's lanes
  int block_tiles;  // neighbours in pixels that become one where a thread has all their channels
  int tile_channels, channel_tiles;
  int64_t lhs_bytes;  // of a block
};

// All zero when the output is empty.
SparseCut sparse_cut(const SparseWeights& weights, const SparseGeometry& geometry);

// Where tap (ky, kx) of the output pixels [first, first + count) lies in the input; `padding` for
// what lies outside.
void sparse_pixels(const SparseGeometry& geometry, int in_c, int ky, int kx, const int8_t* input,
                   const int8_t* padding, int64_t first, int count, const int8_t** pixels);

}  // namespace int8x

#endif  // INT8X_KERNELS_SPARSE_SPARSE_WEIGHTS_H_
