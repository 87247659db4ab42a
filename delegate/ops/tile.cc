// TILE and BROADCAST_TO: elements repeated.

#include "delegate/ops/move.h"

namespace int8x {
namespace {

Reason describe_tile(const NodeView& node, const Shape& in, int, Move* move) {
  std::vector<int32_t> multiples;
  if (!constant_integers(node.input(1), &multiples)) return "multiples that are not constant";
  if (multiples.size() != static_cast<size_t>(in.rank)) return "multiples of another length";
  int64_t strides[Shape::kMaxRank];
  dense_strides(in, strides);
  move->shape.rank = in.rank;
  int64_t elements = 1;
  for (int axis = 0; axis < in.rank; ++axis) {
    const int64_t times = multiples[static_cast<size_t>(axis)];
    elements *= times * in.dims[axis];
    if (times < 1 || elements > Shape::kMaxElements) return "multiples out of range";
    move->shape.dims[axis] = static_cast<int32_t>(times * in.dims[axis]);
    move->axes.push_back({times, 0, {}});
    move->axes.push_back({in.dims[axis], strides[axis], {}});
  }
  return nullptr;
}

Reason describe_broadcast_to(const NodeView& node, const Shape& in, int, Move* move) {
  std::vector<int32_t> dims;
  if (!constant_integers(node.input(1), &dims)) return "a shape that is not constant";
  const int rank = static_cast<int>(dims.size());
  if (rank > Shape::kMaxRank || rank < in.rank) return "a shape of too few or too many axes";
  int64_t strides[Shape::kMaxRank];
  dense_strides(in, strides);
  move->shape.rank = rank;
  int64_t elements = 1;
  for (int i = 0; i < rank; ++i) {
    const int axis = i - (rank - in.rank);
    const int32_t own = axis < 0 ? 1 : in.dims[axis], n = dims[static_cast<size_t>(i)];
    if (n < 1 || (own != 1 && own != n)) return "a shape that the input does not broadcast to";
    elements *= n;
    if (elements > Shape::kMaxElements) return "a shape out of range";
    move->shape.dims[i] = n;
    move->axes.push_back({n, own == 1 ? 0 : strides[axis], {}});
  }
  return nullptr;
}

}  // namespace

extern const Operator k_tile =
    MoveOperator<describe_tile, 0, 2>::named(kTfLiteBuiltinTile, "TILE", 3);
extern const Operator k_broadcast_to =
    MoveOperator<describe_broadcast_to, 0, 2>::named(kTfLiteBuiltinBroadcastTo, "BROADCAST_TO", 3);

}  // namespace int8x
