#include "delegate/kernels/elementwise/broadcast.h"

namespace int8x {
namespace {

int64_t extent_at(const int32_t* dims, int rank, int axis, int out_rank) {
  const int own = axis - (out_rank - rank);
  return own < 0 ? 1 : dims[own];
}

}  // namespace

bool make_broadcast(const int32_t* lhs_dims, int lhs_rank, const int32_t* rhs_dims, int rhs_rank,
                    Broadcast* out) {
  const int rank = lhs_rank > rhs_rank ? lhs_rank : rhs_rank;
  if (lhs_rank < 0 || rhs_rank < 0 || rank > kMaxBroadcastRank) return false;

  // Innermost first: an axis joins the one inside it when neither operand starts or stops
  // repeating.
  int64_t extent[kMaxBroadcastRank];
  bool lhs_walks[kMaxBroadcastRank], rhs_walks[kMaxBroadcastRank];
  int merged = 0;
  int64_t size = 1;
  for (int axis = rank - 1; axis >= 0; --axis) {
    const int64_t lhs = extent_at(lhs_dims, lhs_rank, axis, rank);
    const int64_t rhs = extent_at(rhs_dims, rhs_rank, axis, rank);
    if (lhs <= 0 || rhs <= 0 || (lhs != rhs && lhs != 1 && rhs != 1)) return false;
    const int64_t n = lhs > rhs ? lhs : rhs;
    if (n == 1) continue;
    const bool lhs_walk = lhs != 1, rhs_walk = rhs != 1;
    if (__builtin_mul_overflow(size, n, &size)) return false;
    if (merged > 0 && lhs_walks[merged - 1] == lhs_walk && rhs_walks[merged - 1] == rhs_walk) {
      extent[merged - 1] *= n;
      continue;
    }
    extent[merged] = n;
    lhs_walks[merged] = lhs_walk;
    rhs_walks[merged] = rhs_walk;
    ++merged;
  }
  if (merged == 0) {
    extent[0] = 1;
    lhs_walks[0] = rhs_walks[0] = true;
    merged = 1;
  }

  *out = Broadcast{};
  out->rank = merged;
  out->size = size;
  int64_t lhs_stride = 1, rhs_stride = 1;
  for (int i = 0; i < merged; ++i) {
    const int axis = merged - 1 - i;
    out->extent[axis] = extent[i];
    out->lhs_stride[axis] = lhs_walks[i] ? lhs_stride : 0;
    out->rhs_stride[axis] = rhs_walks[i] ? rhs_stride : 0;
    if (lhs_walks[i]) lhs_stride *= extent[i];
    if (rhs_walks[i]) rhs_stride *= extent[i];
  }
  return true;
}

BroadcastRun broadcast_run_at(const Broadcast& shape, int64_t begin, int64_t end) {
  BroadcastRun run = {0, 0, 0};
  int64_t rest = begin;
  for (int axis = shape.rank - 1; axis >= 0; --axis) {
    const int64_t position = rest % shape.extent[axis];
    rest /= shape.extent[axis];
    run.lhs_offset += position * shape.lhs_stride[axis];
    run.rhs_offset += position * shape.rhs_stride[axis];
    if (axis == shape.rank - 1) run.count = shape.extent[axis] - position;
  }
  if (run.count > end - begin) run.count = end - begin;
  return run;
}

Repeats short_repeats(const Broadcast& shape) {
  const int last = shape.rank - 1;
  if (shape.rank < 2 || shape.extent[last] > kShortRow) return Repeats::none;
  if (shape.lhs_stride[last] == 0 || shape.rhs_stride[last] == 0) return Repeats::none;
  if (shape.lhs_stride[last - 1] == 0) return Repeats::lhs;
  return shape.rhs_stride[last - 1] == 0 ? Repeats::rhs : Repeats::none;
}

}  // namespace int8x
