// SLICE and STRIDED_SLICE.

#include "delegate/ops/move.h"

namespace int8x {
namespace {

using Integers = std::vector<int32_t>;

Reason describe_slice(const NodeView& node, const Shape& in, int, Move* move) {
  Integers begin, size;
  if (!constant_integers(node.input(1), &begin) || !constant_integers(node.input(2), &size)) {
    return "a begin or size that is not constant";
  }
  const size_t rank = static_cast<size_t>(in.rank);
  if (begin.size() != rank || size.size() != rank) return "a begin or size of another length";
  int64_t strides[Shape::kMaxRank];
  dense_strides(in, strides);
  move->shape.rank = in.rank;
  for (int axis = 0; axis < in.rank; ++axis) {
    const int32_t from = begin[static_cast<size_t>(axis)];
    int32_t count = size[static_cast<size_t>(axis)];
    if (from < 0 || from >= in.dims[axis]) return "a begin outside the input";
    if (count == -1) count = in.dims[axis] - from;
    if (count < 1 || count > in.dims[axis] - from) return "a size that does not fit the input";
    move->base += from * strides[axis];
    move->shape.dims[axis] = count;
    move->axes.push_back({count, strides[axis], {}});
  }
  return nullptr;
}

int64_t between(int64_t x, int64_t low, int64_t high) {
  return x < low ? low : x > high ? high : x;
}

// One input axis of STRIDED_SLICE: [begin, end) in steps of stride, as Python counts.
struct Range {
  int64_t first, count;
};
Range resolve(int64_t begin, bool any_begin, int64_t end, bool any_end, int64_t stride, int64_t n) {
  const int64_t low = stride > 0 ? 0 : -1, high = stride > 0 ? n : n - 1;
  const auto wrap = [&](int64_t x) { return between(x < 0 ? x + n : x, low, high); };
  const int64_t first = any_begin ? (stride > 0 ? low : high) : wrap(begin);
  const int64_t last = any_end ? (stride > 0 ? high : low) : wrap(end);
  const int64_t span = stride > 0 ? last - first : first - last;
  const int64_t step = stride > 0 ? stride : -stride;
  return {first, span <= 0 ? 0 : (span + step - 1) / step};
}

bool bit(int mask, size_t i) { return (mask >> i & 1) != 0; }

Reason describe_strided_slice(const NodeView& node, const Shape& in, int, Move* move) {
  const auto* p = node.params<TfLiteStridedSliceParams>();
  if (p == nullptr) return "no options";
  Integers begin, end, stride;
  if (!constant_integers(node.input(1), &begin) || !constant_integers(node.input(2), &end) ||
      !constant_integers(node.input(3), &stride)) {
    return "a begin, end or stride that is not constant";
  }
  const size_t entries = begin.size();
  if (end.size() != entries || stride.size() != entries || entries > 2 * Shape::kMaxRank) {
    return "a begin, end and stride of different lengths";
  }
  // An ellipsis stands for the axes that no other entry takes.
  int taken = 0, ellipses = 0;
  for (size_t i = 0; i < entries; ++i) {
    if (bit(p->ellipsis_mask, i)) {
      ++ellipses;
    } else if (!bit(p->new_axis_mask, i)) {
      ++taken;
    }
  }
  if (ellipses > 1 || taken > in.rank) return "more entries than the input has axes";
  // The reference gives an ellipsis one axis at least, and counts new axes into it.
  if (ellipses > 0 && (taken == in.rank || p->new_axis_mask != 0)) {
    return "an ellipsis of no axes or beside a new axis";
  }
  int64_t strides[Shape::kMaxRank];
  dense_strides(in, strides);
  int axis = 0;
  const auto append = [move](int64_t count) {
    if (move->shape.rank == Shape::kMaxRank) return false;
    move->shape.dims[move->shape.rank++] = static_cast<int32_t>(count);
    return true;
  };
  const auto whole = [&](int axes) {
    for (; axes > 0; --axes, ++axis) {
      if (!append(in.dims[axis])) return false;
      move->axes.push_back({in.dims[axis], strides[axis], {}});
    }
    return true;
  };
  for (size_t i = 0; i < entries; ++i) {
    if (bit(p->ellipsis_mask, i)) {
      if (!whole(in.rank - taken)) return "an output of too many axes";
      continue;
    }
    if (bit(p->new_axis_mask, i)) {
      if (!append(1)) return "an output of too many axes";
      continue;
    }
    const int64_t step = stride[i], n = in.dims[axis];
    if (step == 0) return "a stride of zero";
    Range range = resolve(begin[i], bit(p->begin_mask, i), end[i], bit(p->end_mask, i), step, n);
    if (bit(p->shrink_axis_mask, i)) {
      if (step != 1 || range.first >= n) return "an index outside the input";
      range.count = 1;
    } else if (!append(range.count)) {
      return "an output of too many axes";
    }
    if (range.count < 1) return "an output without elements";
    move->base += range.first * strides[axis];
    move->axes.push_back({range.count, step * strides[axis], {}});
    ++axis;
  }
  return whole(in.rank - axis) ? nullptr : "an output of too many axes";
}

}  // namespace

extern const Operator k_slice =
    MoveOperator<describe_slice, 0, 3>::named(kTfLiteBuiltinSlice, "SLICE", 6);
// From version 8 on an option makes `end` count from `begin`.
extern const Operator k_strided_slice = MoveOperator<describe_strided_slice, 0, 4>::named(
    kTfLiteBuiltinStridedSlice, "STRIDED_SLICE", 7);

}  // namespace int8x
