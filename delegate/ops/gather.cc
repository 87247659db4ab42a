#include "delegate/ops/move.h"

namespace int8x {
namespace {

Reason describe(const NodeView& node, const Shape& in, int, Move* move) {
  const auto* params = node.params<TfLiteGatherParams>();
  if (params == nullptr) return "no options";
  if (params->batch_dims != 0) return "indices for each batch";
  // Indices that come while running may lie outside the input, and nothing could say so then.
  std::vector<int32_t> indices;
  Shape index_shape;
  if (!constant_integers(node.input(1), &indices) || !read_shape(node.input(1), &index_shape)) {
    return "indices that are not constant";
  }
  int32_t axis = params->axis;
  if (!normalize_axis(in.rank, &axis)) return "an axis out of range";
  if (in.rank - 1 + index_shape.rank > Shape::kMaxRank) return "an output of too many axes";
  int64_t strides[Shape::kMaxRank];
  dense_strides(in, strides);
  for (int i = 0; i < in.rank; ++i) {
    if (i != axis) {
      move->shape.dims[move->shape.rank++] = in.dims[i];
      move->axes.push_back({in.dims[i], strides[i], {}});
      continue;
    }
    for (int k = 0; k < index_shape.rank; ++k) {
      move->shape.dims[move->shape.rank++] = index_shape.dims[k];
    }
    MoveAxis gathered = {static_cast<int64_t>(indices.size()), 0, {}};
    for (int32_t index : indices) {
      if (index < 0 || index >= in.dims[i]) return "an index outside the input";
      gathered.offsets.push_back(index * strides[i]);
    }
    move->axes.push_back(gathered);
  }
  return nullptr;
}

}  // namespace

extern const Operator k_gather =
    MoveOperator<describe, 0, 2>::named(kTfLiteBuiltinGather, "GATHER", 5);

}  // namespace int8x
