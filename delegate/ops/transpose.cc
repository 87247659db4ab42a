#include "delegate/ops/move.h"

namespace int8x {
namespace {

Reason describe(const NodeView& node, const Shape& in, int, Move* move) {
  std::vector<int32_t> order;
  if (!constant_integers(node.input(1), &order)) return "an order of axes that is not constant";
  if (order.size() != static_cast<size_t>(in.rank)) return "an order of another length";
  int64_t strides[Shape::kMaxRank];
  dense_strides(in, strides);
  bool seen[Shape::kMaxRank] = {};
  move->shape.rank = in.rank;
  for (int i = 0; i < in.rank; ++i) {
    int32_t axis = order[static_cast<size_t>(i)];
    if (!normalize_axis(in.rank, &axis) || seen[axis]) return "an order that is no permutation";
    seen[axis] = true;
    move->shape.dims[i] = in.dims[axis];
    move->axes.push_back({in.dims[axis], strides[axis], {}});
  }
  return nullptr;
}

}  // namespace

extern const Operator k_transpose =
    MoveOperator<describe, 0, 2>::named(kTfLiteBuiltinTranspose, "TRANSPOSE", 6);

}  // namespace int8x
