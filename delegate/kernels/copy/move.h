// Elements moved, none computed (docs/numerics.md, `move_run`): TRANSPOSE, slices, SPLIT, GATHER,
// TILE, BROADCAST_TO, MIRROR_PAD, SPACE_TO_DEPTH, DEPTH_TO_SPACE and RESIZE_NEAREST_NEIGHBOR.
//
//   output[i0, i1, ...] = input[base + at0(i0) + at1(i1) + ...]
//
// The output is dense. Along each of its axes at(i) is i * stride, or entry i of a table.

#ifndef INT8X_KERNELS_COPY_MOVE_H_
#define INT8X_KERNELS_COPY_MOVE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace int8x {

constexpr int kMaxMoveRank = 14;

// One axis of the output, in elements of the input. `offsets`, when not empty, holds `extent`
// entries and stands instead of the stride.
struct MoveAxis {
  int64_t extent;
  int64_t stride;
  std::vector<int64_t> offsets;
};

// The same in bytes, neighbours merged where they walk as one; at least two axes.
struct MoveParams {
  int rank;
  int64_t extent[kMaxMoveRank], stride[kMaxMoveRank];
  std::vector<int64_t> offsets[kMaxMoveRank];
  int64_t base;
};

// Axes from the outermost. False when there are too many, an extent is not positive, a table has
// another length, or an element would be read from outside [0, input_elements).
bool make_move_params(const std::vector<MoveAxis>& axes, int64_t base, int64_t input_elements,
                      int element_bytes, MoveParams* out);

inline size_t move_scratch_bytes(const MoveParams&) { return 0; }
int64_t move_tiles(const MoveParams& params);  // blocks of runs along the last axis
void move_run(const MoveParams& params, const int8_t* input, int8_t* output, int64_t tile_begin,
              int64_t tile_end, void* scratch);
inline const char* move_kernel_name(const MoveParams&) { return "move_x8_x8_reference"; }

}  // namespace int8x

#endif  // INT8X_KERNELS_COPY_MOVE_H_
