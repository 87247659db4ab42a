// SPACE_TO_DEPTH and DEPTH_TO_SPACE on [batch, height, width, channels].

#include "delegate/ops/move.h"
#include "delegate/ops/quantized.h"

namespace int8x {
namespace {

Reason read_block(const NodeView& node, const Shape& in, int32_t* block) {
  const auto* params = node.params<TfLiteSpaceToDepthParams>();  // both have the same options
  if (params == nullptr) return "no options";
  *block = params->block_size;
  if (*block < 1 || *block > (1 << 15)) return "a block size out of range";
  return is_nhwc(in) ? nullptr : "an input that is not [batch, height, width, channels]";
}

Reason describe_space_to_depth(const NodeView& node, const Shape& in, int, Move* move) {
  int32_t b;
  if (Reason reason = read_block(node, in, &b)) return reason;
  const int64_t h = in.dims[1], w = in.dims[2], c = in.dims[3];
  if (h % b != 0 || w % b != 0) return "a height or width that the block does not divide";
  move->shape = {4, {in.dims[0], in.dims[1] / b, in.dims[2] / b, in.dims[3] * b * b}};
  move->axes = {{in.dims[0], h * w * c, {}},
                {h / b, b * w * c, {}},
                {w / b, b * c, {}},
                {b, w * c, {}},
                {b, c, {}},
                {c, 1, {}}};
  return nullptr;
}

Reason describe_depth_to_space(const NodeView& node, const Shape& in, int, Move* move) {
  int32_t b;
  if (Reason reason = read_block(node, in, &b)) return reason;
  const int64_t h = in.dims[1], w = in.dims[2], all = in.dims[3];
  if (all % (int64_t{b} * b) != 0) return "channels that the block does not divide";
  const int64_t c = all / b / b;
  move->shape = {4, {in.dims[0], in.dims[1] * b, in.dims[2] * b, static_cast<int32_t>(c)}};
  move->axes = {{in.dims[0], h * w * all, {}},
                {h, w * all, {}},
                {b, b * c, {}},
                {w, all, {}},
                {b, c, {}},
                {c, 1, {}}};
  return nullptr;
}

}  // namespace

extern const Operator k_space_to_depth = MoveOperator<describe_space_to_depth, 0, 1>::named(
    kTfLiteBuiltinSpaceToDepth, "SPACE_TO_DEPTH", 2);
extern const Operator k_depth_to_space = MoveOperator<describe_depth_to_space, 0, 1>::named(
    kTfLiteBuiltinDepthToSpace, "DEPTH_TO_SPACE", 2);

}  // namespace int8x
