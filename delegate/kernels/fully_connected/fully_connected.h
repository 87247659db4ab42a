// FULLY_CONNECTED on int8, bit-exact to TFLite's reference kernel of LiteRT 2.x and TF 2.21, which
// scales in double precision and has no fixed-point multiplier:
//
//   acc[r, o] = bias[o] + sum over k of (input[r, k] - input_zero_point)
//                                     * (weights[o, k] - weights_zero_point),  wrapping in int32
//   output[r, o] = clamp(int32(round_half_away(double(acc) * scale[o])) + output_zero_point,
//                        min, max)
//
// int32() of a value out of range is INT32_MIN on x86 and saturates on Arm, as the instructions
// do; adding output_zero_point wraps.
//
// The protocol (pack once; scratch, tiles, run) is that of conv.h.

#ifndef INT8X_KERNELS_FULLY_CONNECTED_FULLY_CONNECTED_H_
#define INT8X_KERNELS_FULLY_CONNECTED_FULLY_CONNECTED_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "delegate/base/arch.h"

namespace int8x {

// What is fixed when the weights are packed. The pointers are read during packing only.
struct FullyConnectedSpec {
  int out_c, in_c;
  const int8_t* weights;       // [out_c][in_c]
  const int32_t* bias;         // [out_c], or null for zeros
  const double* scales;        // double(input scale) * double(weight scale) / double(output scale)
  int scale_count;             // 1 or out_c
  int32_t weights_zero_point;  // in [-128, 127]
  int32_t input_zero_point, output_zero_point;  // in [-128, 127]
  int32_t activation_min, activation_max;       // in [-128, 127], min <= max
};

// Immutable, in one aligned allocation; may be shared by threads and by operators.
struct FullyConnectedWeights;
struct FullyConnectedWeightsDeleter {
  void operator()(const FullyConnectedWeights* weights) const;
};
using FullyConnectedWeightsPtr =
    std::unique_ptr<const FullyConnectedWeights, FullyConnectedWeightsDeleter>;

// Packs for the best kernel of `archs`. Null when out of memory (or when the sizes overflow).
FullyConnectedWeightsPtr fully_connected_pack(const FullyConnectedSpec& spec, arch::ArchSet archs);

// Bytes held by the packed weights.
size_t fully_connected_weights_bytes(const FullyConnectedWeights& weights);

// The name of the kernel that runs, as kernels.inc spells it.
const char* fully_connected_kernel_name(const FullyConnectedWeights& weights);

// Scratch that each thread needs, to be aligned to 64 bytes. `rows` is the product of all input
// dimensions but the last.
size_t fully_connected_scratch_bytes(const FullyConnectedWeights& weights, int64_t rows);

// Independent units of work, 0 for an empty output.
int64_t fully_connected_tiles(const FullyConnectedWeights& weights, int64_t rows);

// Computes tiles [tile_begin, tile_end). `input` is [rows][in_c], `output` is [rows][out_c], both
// dense; they and scratch do not overlap.
void fully_connected_run(const FullyConnectedWeights& weights, int64_t rows, const int8_t* input,
                         int8_t* output, int64_t tile_begin, int64_t tile_end, void* scratch);

// How the work on so many rows is cut; settled once, since a run may take less time than this.
struct FullyConnectedCut {
  int64_t all_rows;
  int64_t rows, row_tiles;        // of a tile, and tiles that cover all rows
  int64_t columns, column_tiles;  // likewise
  int64_t lhs_bytes;              // scratch for the left side
};

FullyConnectedCut fully_connected_cut(const FullyConnectedWeights& weights, int64_t rows);
void fully_connected_run(const FullyConnectedWeights& weights, const FullyConnectedCut& cut,
                         const int8_t* input, int8_t* output, int64_t tile_begin, int64_t tile_end,
                         void* scratch);

// The definition above as plain loops over unpacked weights: the truth for every kernel.
void fully_connected_reference(const FullyConnectedSpec& spec, int64_t rows, const int8_t* input,
                               int8_t* output);

}  // namespace int8x

#endif  // INT8X_KERNELS_FULLY_CONNECTED_FULLY_CONNECTED_H_
