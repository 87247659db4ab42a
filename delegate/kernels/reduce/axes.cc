#include "delegate/kernels/reduce/axes.h"

namespace int8x {
namespace {

// Marks the reduced axes; false when one is out of range.
bool mark(const int32_t* axes, int axis_count, int rank, bool* reduced) {
  for (int i = 0; i < axis_count; ++i) {
    const int axis = axes[i] < 0 ? axes[i] + rank : axes[i];
    if (axis < 0 || axis >= rank) return false;
    reduced[axis] = true;
  }
  return true;
}

// Fills extents and strides, axes of the same fate merged, outermost first.
bool merge_axes(const int32_t* dims, int rank, const bool* reduced, ReduceAxes* p) {
  int64_t extent[kMaxReduceRank], stride[kMaxReduceRank];
  bool fate[kMaxReduceRank];
  int merged = 0;
  int64_t step = 1;
  for (int axis = rank - 1; axis >= 0; --axis) {
    const int64_t n = dims[axis];
    if (n <= 0) return false;
    if (n > 1) {
      if (merged > 0 && fate[merged - 1] == reduced[axis]) {
        extent[merged - 1] *= n;
      } else {
        extent[merged] = n;
        stride[merged] = step;
        fate[merged++] = reduced[axis];
      }
    }
    if (__builtin_mul_overflow(step, n, &step)) return false;
  }
  p->inner = p->outer = p->count = 1;
  for (int i = merged - 1; i >= 0; --i) {
    if (fate[i]) {
      p->reduced_extent[p->reduced_rank] = extent[i];
      p->reduced_stride[p->reduced_rank++] = stride[i];
      p->count *= extent[i];
    } else if (stride[i] == 1) {
      p->inner = extent[i];
    } else {
      p->kept_extent[p->kept_rank] = extent[i];
      p->kept_stride[p->kept_rank++] = stride[i];
      p->outer *= extent[i];
    }
  }
  return p->count <= INT32_MAX;
}

}  // namespace

bool make_reduce_axes(const int32_t* dims, int rank, const int32_t* axes, int axis_count,
                      ReduceAxes* out) {
  if (rank < 0 || rank > kMaxReduceRank) return false;
  bool reduced[kMaxReduceRank] = {};
  ReduceAxes p = {};
  if (!mark(axes, axis_count, rank, reduced) || !merge_axes(dims, rank, reduced, &p)) return false;
  *out = p;
  return true;
}

int64_t reduce_offset(int64_t index, int rank, const int64_t* extent, const int64_t* stride) {
  int64_t offset = 0;
  for (int axis = rank - 1; axis >= 0; --axis) {
    offset += index % extent[axis] * stride[axis];
    index /= extent[axis];
  }
  return offset;
}

}  // namespace int8x
