#include <cmath>

#include "delegate/ops/move.h"
#include "delegate/ops/quantized.h"
#include "delegate/ops/resize.h"

namespace int8x {
namespace {

// Which of n inputs each of `count` outputs takes, in the reference's float32.
int64_t nearest(int32_t i, int32_t n, int32_t count, const TfLiteResizeParams& p) {
  const float scale = p.align_corners && count > 1
                          ? static_cast<float>(n - 1) / static_cast<float>(count - 1)
                          : static_cast<float>(n) / static_cast<float>(count);
  const float position = (static_cast<float>(i) + (p.half_pixel_centers ? 0.5f : 0.0f)) * scale;
  const float whole = p.align_corners ? std::round(position) : std::floor(position);
  const int64_t index = static_cast<int64_t>(whole);
  return index > n - 1 ? n - 1 : index;
}

Reason describe(const NodeView& node, const Shape& in, int, Move* move) {
  const auto* params = node.params<TfLiteResizeParams>();
  if (params == nullptr) return "no options";
  int32_t height, width;
  if (Reason reason = read_resized(node, in, &height, &width)) return reason;
  move->shape = {4, {in.dims[0], height, width, in.dims[3]}};
  if (int64_t{height} * width > Shape::kMaxElements) return "a size out of range";
  int64_t strides[Shape::kMaxRank];
  dense_strides(in, strides);
  for (int axis = 0; axis < 4; ++axis) {
    MoveAxis moved = {move->shape.dims[axis], strides[axis], {}};
    for (int32_t i = 0; (axis == 1 || axis == 2) && i < moved.extent; ++i) {
      const int64_t from = nearest(i, in.dims[axis], move->shape.dims[axis], *params);
      moved.offsets.push_back(from * strides[axis]);
    }
    move->axes.push_back(std::move(moved));
  }
  return nullptr;
}

}  // namespace

extern const Operator k_resize_nearest_neighbor = MoveOperator<describe, 0, 2>::named(
    kTfLiteBuiltinResizeNearestNeighbor, "RESIZE_NEAREST_NEIGHBOR", 4);

}  // namespace int8x
