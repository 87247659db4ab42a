#include <cmath>

#include "delegate/ops/move.h"
#include "delegate/ops/quantized.h"

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
  std::vector<int32_t> size;
  if (!constant_integers(node.input(1), &size)) return "a size that is not constant";
  if (size.size() != 2 || size[0] < 1 || size[1] < 1) return "a size that is not [height, width]";
  if (!is_nhwc(in)) return "an input that is not [batch, height, width, channels]";
  move->shape = {4, {in.dims[0], size[0], size[1], in.dims[3]}};
  if (static_cast<int64_t>(size[0]) * size[1] > Shape::kMaxElements) return "a size out of range";
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
