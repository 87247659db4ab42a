#include "delegate/kernels/elementwise/broadcast.h"

namespace int8x {
namespace {

int64_t extent_at(const Operand& operand, int axis, int out_rank) {
  const int own = axis - (out_rank - operand.rank);
  return own < 0 ? 1 : operand.dims[own];
}

}  // namespace

bool make_broadcast_axes(const Operand* operands, int count, BroadcastAxes* out) {
  int rank = 0;
  for (int i = 0; i < count; ++i) {
    if (operands[i].rank < 0 || operands[i].rank > kMaxBroadcastRank) return false;
    if (operands[i].rank > rank) rank = operands[i].rank;
  }

  // Innermost first: an axis joins the one inside it when no operand starts or stops repeating.
  BroadcastAxes inward = {};
  inward.size = 1;
  for (int axis = rank - 1; axis >= 0; --axis) {
    int64_t n = 1;
    uint32_t walking = 0;
    for (int i = 0; i < count; ++i) {
      const int64_t own = extent_at(operands[i], axis, rank);
      if (own <= 0 || (own != 1 && n != 1 && own != n)) return false;
      if (own == 1) continue;
      n = own;
      walking |= uint32_t{1} << i;
    }
    if (n == 1) continue;
    if (__builtin_mul_overflow(inward.size, n, &inward.size)) return false;
    if (inward.rank > 0 && inward.walking[inward.rank - 1] == walking) {
      inward.extent[inward.rank - 1] *= n;
      continue;
    }
    inward.extent[inward.rank] = n;
    inward.walking[inward.rank++] = walking;
  }
  if (inward.rank == 0) {
    inward.extent[0] = 1;
    inward.walking[0] = UINT32_MAX;
    inward.rank = 1;
  }

  *out = inward;
  for (int i = 0; i < inward.rank; ++i) {
    out->extent[i] = inward.extent[inward.rank - 1 - i];
    out->walking[i] = inward.walking[inward.rank - 1 - i];
  }
  return true;
}

void broadcast_strides(const BroadcastAxes& axes, int operand, int64_t* strides) {
  int64_t stride = 1;
  for (int axis = axes.rank - 1; axis >= 0; --axis) {
    const bool walks = (axes.walking[axis] >> operand & 1) != 0;
    strides[axis] = walks ? stride : 0;
    if (walks) stride *= axes.extent[axis];
  }
}

bool make_broadcast(const int32_t* lhs_dims, int lhs_rank, const int32_t* rhs_dims, int rhs_rank,
                    Broadcast* out) {
  const Operand operands[] = {{lhs_dims, lhs_rank}, {rhs_dims, rhs_rank}};
  BroadcastAxes axes;
  if (!make_broadcast_axes(operands, 2, &axes)) return false;
  *out = Broadcast{};
  out->rank = axes.rank;
  out->size = axes.size;
  for (int i = 0; i < axes.rank; ++i) out->extent[i] = axes.extent[i];
  broadcast_strides(axes, 0, out->lhs_stride);
  broadcast_strides(axes, 1, out->rhs_stride);
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
