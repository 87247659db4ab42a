#include "delegate/ops/move.h"

#include "delegate/ops/quantized.h"
#include "delegate/plan/steps.h"

namespace int8x {

Reason check_types(const TfLiteTensor& input, const TfLiteTensor& output) {
  if (input.type != kTfLiteInt8 && input.type != kTfLiteUInt8 && input.type != kTfLiteInt16) {
    return "a tensor that is not int8, uint8 or int16";
  }
  if (input.type != output.type) return "input and output of different types";
  Shape shape;
  if (!read_shape(input, &shape) || !read_shape(output, &shape)) {
    return "a shape that cannot be read";
  }
  return nullptr;
}

Reason check_moved(const TfLiteTensor& input, const TfLiteTensor& output) {
  if (Reason reason = check_types(input, output)) return reason;
  Quantization from, to;
  const bool quantized = Quantization::read(input, &from);
  if (quantized != Quantization::read(output, &to)) return "a tensor without quantization";
  // The reference moves raw integers: other scales or zero points would silently change values.
  if (quantized && !from.same_as(to)) return "input and output of different quantization";
  return nullptr;
}

int moved_bytes(const TfLiteTensor& tensor) { return tensor.type == kTfLiteInt16 ? 2 : 1; }

void dense_strides(const Shape& shape, int64_t* strides) {
  int64_t stride = 1;
  for (int axis = shape.rank - 1; axis >= 0; --axis) {
    strides[axis] = stride;
    stride *= shape.dims[axis];
  }
}

bool normalize_axis(int rank, int32_t* axis) {
  if (*axis < 0) *axis += rank;
  return *axis >= 0 && *axis < rank;
}

Reason refuse_move(const NodeView& node, MoveCounts counts, DescribeMove describe) {
  const int outputs = counts.many_outputs && node.outputs() > 0 ? node.outputs() : 1;
  if (Reason reason = check_counts(node, counts.inputs, counts.inputs, outputs)) return reason;
  Shape in;
  const TfLiteTensor& input = node.input(counts.data);
  if (!read_shape(input, &in)) return "a shape that cannot be read";
  for (int i = 0; i < node.outputs(); ++i) {
    if (Reason reason = check_moved(input, node.output(i))) return reason;
    Move move;
    MoveParams params;
    if (Reason reason = describe(node, in, i, &move)) return reason;
    if (!make_move_params(move.axes, move.base, in.elements(), moved_bytes(input), &params)) {
      return "elements that lie outside the input";
    }
    // Where the runtime sees another shape it means another move.
    Shape out;
    if (!read_shape(node.output(i), &out) || out != move.shape) {
      return "an output shape that does not follow from the input";
    }
  }
  return nullptr;
}

Reason plan_move(const NodeView& node, int data, DescribeMove describe, PlanBuilder* builder) {
  const ValueId input = builder->input(node.input_index(data));
  if (input < 0) return "a shape that cannot be read";
  const Shape in = builder->shape(input);
  const char* name = find_operator(node.builtin())->name;
  for (int i = 0; i < node.outputs(); ++i) {
    Move move;
    MoveParams params;
    if (Reason reason = describe(node, in, i, &move)) return reason;
    const ValueId output = builder->output(node.output_index(i), move.shape);
    if (output < 0) return "an output shape that does not follow from the input";
    const int bytes = moved_bytes(node.input(data));
    if (!make_move_params(move.axes, move.base, in.elements(), bytes, &params)) {
      return "elements that lie outside the input";
    }
    builder->add(std::make_unique<MoveStep>(name, std::vector<ValueId>{input}, output, params,
                                            Work{0, move.shape.elements() * bytes / 8}));
  }
  return nullptr;
}

}  // namespace int8x
