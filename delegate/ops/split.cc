// SPLIT, SPLIT_V and UNPACK: a slice of the input for each output.

#include "delegate/ops/move.h"

namespace int8x {
namespace {

// [first, first + count) along `axis`, everything along the others; `keep` leaves the axis in the
// output's shape.
void describe_part(const Shape& in, int axis, int64_t first, int32_t count, bool keep, Move* move) {
  int64_t strides[Shape::kMaxRank];
  dense_strides(in, strides);
  for (int i = 0; i < in.rank; ++i) {
    const int32_t n = i == axis ? count : in.dims[i];
    if (i != axis || keep) move->shape.dims[move->shape.rank++] = n;
    move->axes.push_back({n, strides[i], {}});
  }
  move->base = first * strides[axis];
}

Reason read_axis(const TfLiteTensor& tensor, int rank, int32_t* axis) {
  std::vector<int32_t> values;
  if (!constant_integers(tensor, &values) || values.size() != 1)
    return "an axis that is not constant";
  *axis = values[0];
  return normalize_axis(rank, axis) ? nullptr : "an axis out of range";
}

Reason describe_split(const NodeView& node, const Shape& in, int output, Move* move) {
  int32_t axis;
  if (Reason reason = read_axis(node.input(0), in.rank, &axis)) return reason;
  const int32_t count = in.dims[axis] / node.outputs();
  if (in.dims[axis] % node.outputs() != 0) return "an axis that does not split evenly";
  describe_part(in, axis, int64_t{output} * count, count, true, move);
  return nullptr;
}

Reason describe_split_v(const NodeView& node, const Shape& in, int output, Move* move) {
  int32_t axis;
  if (Reason reason = read_axis(node.input(2), in.rank, &axis)) return reason;
  std::vector<int32_t> sizes;
  if (!constant_integers(node.input(1), &sizes)) return "sizes that are not constant";
  if (sizes.size() != static_cast<size_t>(node.outputs())) return "not one size for each output";
  int64_t known = 0;
  int open = 0;
  for (int32_t size : sizes) {
    if (size < -1) return "a negative size";
    size == -1 ? static_cast<void>(++open) : static_cast<void>(known += size);
  }
  if (open > 1 || known > in.dims[axis]) return "sizes that do not fit the input";
  int64_t first = 0;
  for (int i = 0; i <= output; ++i) {
    int32_t& size = sizes[static_cast<size_t>(i)];
    if (size == -1) size = static_cast<int32_t>(in.dims[axis] - known);
    if (i < output) first += size;
  }
  const int32_t count = sizes[static_cast<size_t>(output)];
  if (count < 1) return "an output without elements";
  if (open == 0 && known != in.dims[axis]) return "sizes that do not fit the input";
  describe_part(in, axis, first, count, true, move);
  return nullptr;
}

Reason describe_unpack(const NodeView& node, const Shape& in, int output, Move* move) {
  const auto* params = node.params<TfLiteUnpackParams>();
  if (params == nullptr) return "no options";
  int32_t axis = params->axis;
  if (!normalize_axis(in.rank, &axis)) return "an axis out of range";
  if (in.dims[axis] != node.outputs()) return "not one output for each entry of the axis";
  describe_part(in, axis, output, 1, false, move);
  return nullptr;
}

}  // namespace

extern const Operator k_split =
    MoveOperator<describe_split, 1, 2, true>::named(kTfLiteBuiltinSplit, "SPLIT", 4);
extern const Operator k_split_v =
    MoveOperator<describe_split_v, 0, 3, true>::named(kTfLiteBuiltinSplitV, "SPLIT_V", 2);
extern const Operator k_unpack =
    MoveOperator<describe_unpack, 0, 1, true>::named(kTfLiteBuiltinUnpack, "UNPACK", 4);

}  // namespace int8x
