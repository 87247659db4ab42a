#include "delegate/ops/move.h"

namespace int8x {
namespace {

Reason describe(const NodeView& node, const Shape& in, int, Move* move) {
  const auto* params = node.params<TfLiteMirrorPaddingParams>();
  if (params == nullptr) return "no options";
  if (params->mode != kTfLiteMirrorPaddingReflect &&
      params->mode != kTfLiteMirrorPaddingSymmetric) {
    return "an unknown mode";
  }
  // REFLECT leaves the edge out, SYMMETRIC repeats it.
  const int64_t edge = params->mode == kTfLiteMirrorPaddingReflect ? 1 : 0;
  std::vector<int32_t> padding;
  if (!constant_integers(node.input(1), &padding)) return "paddings that are not constant";
  if (padding.size() != static_cast<size_t>(2 * in.rank)) return "paddings that are not [rank, 2]";
  int64_t strides[Shape::kMaxRank];
  dense_strides(in, strides);
  move->shape.rank = in.rank;
  int64_t elements = 1;
  for (int i = 0; i < in.rank; ++i) {
    const int64_t n = in.dims[i], before = padding[static_cast<size_t>(2 * i)];
    const int64_t after = padding[static_cast<size_t>(2 * i + 1)];
    if (before < 0 || after < 0 || before > n - edge || after > n - edge) {
      return "paddings that the input cannot mirror";
    }
    MoveAxis axis = {before + n + after, 0, {}};
    elements *= axis.extent;
    if (elements > Shape::kMaxElements) return "an output that is too large";
    for (int64_t k = -before; k < n + after; ++k) {
      const int64_t from = k < 0 ? edge - 1 - k : k < n ? k : 2 * n - 1 - edge - k;
      axis.offsets.push_back(from * strides[i]);
    }
    move->shape.dims[i] = static_cast<int32_t>(axis.extent);
    move->axes.push_back(std::move(axis));
  }
  return nullptr;
}

}  // namespace

extern const Operator k_mirror_pad =
    MoveOperator<describe, 0, 2>::named(kTfLiteBuiltinMirrorPad, "MIRROR_PAD", 2);

}  // namespace int8x
