// Which elements of a tensor meet when some of its axes are reduced.

#ifndef INT8X_KERNELS_REDUCE_AXES_H_
#define INT8X_KERNELS_REDUCE_AXES_H_

#include <cstdint>

namespace int8x {

constexpr int kMaxReduceRank = 8;

// Axes of the same fate are merged, so kept and reduced ones alternate. The innermost kept block
// that is contiguous in the output is `inner`: 1 when the last axis is reduced.
struct ReduceAxes {
  int32_t kept_rank, reduced_rank;
  int64_t kept_extent[kMaxReduceRank], kept_stride[kMaxReduceRank];  // without the inner axis
  int64_t reduced_extent[kMaxReduceRank], reduced_stride[kMaxReduceRank];
  int64_t inner;  // extent of the last axis when it is kept, else 1
  int64_t outer;  // outputs = outer * inner
  int64_t count;  // inputs that meet in one output
};

// axes may be negative and may repeat. False when one is out of range, rank exceeds
// kMaxReduceRank or an extent is not positive.
bool make_reduce_axes(const int32_t* dims, int rank, const int32_t* axes, int axis_count,
                      ReduceAxes* out);

// Where position `index` of merged axes lies.
int64_t reduce_offset(int64_t index, int rank, const int64_t* extent, const int64_t* stride);

}  // namespace int8x

#endif  // INT8X_KERNELS_REDUCE_AXES_H_
