// SELECT and SELECT_V2: of two tensors of one quantization, as a third of bool says.

#include "delegate/ops/move.h"
#include "delegate/ops/operator.h"
#include "delegate/ops/quantized.h"
#include "delegate/plan/steps.h"

namespace int8x {
namespace {

Operand operand(const Shape& shape) { return {shape.dims, shape.rank}; }

// The output's shape, and the kernel's parameters.
Reason describe(const NodeView& node, const Shape& condition, const Shape& on, const Shape& off,
                Shape* shape, SelectParams* params) {
  // SELECT alone also takes whole rows by a vector.
  if (node.builtin() == kTfLiteBuiltinSelect && (condition != on || on != off)) {
    return "shapes that differ";
  }
  if (!make_select_params(operand(condition), operand(on), operand(off),
                          moved_bytes(node.output(0)), params)) {
    return "shapes that do not broadcast";
  }
  *shape = {};
  for (const Shape* one : {&condition, &on, &off}) {
    if (one->rank > shape->rank) shape->rank = one->rank;
  }
  for (int i = 0; i < shape->rank; ++i) {
    int32_t extent = condition.back(i);
    for (const Shape* one : {&on, &off}) {
      if (one->back(i) > extent) extent = one->back(i);
    }
    shape->dims[shape->rank - 1 - i] = extent;
  }
  return nullptr;
}

Reason refuse(const NodeView& node) {
  if (Reason reason = check_counts(node, 3, 3, 1)) return reason;
  if (node.input(0).type != kTfLiteBool) return "a condition that is not bool";
  if (Reason reason = check_moved(node.input(1), node.output(0))) return reason;
  if (Reason reason = check_moved(node.input(2), node.output(0))) return reason;
  Shape condition, on, off, shape;
  if (!read_shape(node.input(0), &condition) || !read_shape(node.input(1), &on) ||
      !read_shape(node.input(2), &off)) {
    return "a shape that cannot be read";
  }
  SelectParams params;
  return describe(node, condition, on, off, &shape, &params);
}

Reason plan(const NodeView& node, const Packed&, const Resources&, PlanBuilder* builder) {
  std::vector<ValueId> inputs;
  for (int i = 0; i < node.inputs(); ++i) {
    inputs.push_back(builder->input(node.input_index(i)));
    if (inputs.back() < 0) return "a shape that cannot be read";
  }
  Shape shape;
  SelectParams params;
  if (Reason reason = describe(node, builder->shape(inputs[0]), builder->shape(inputs[1]),
                               builder->shape(inputs[2]), &shape, &params)) {
    return reason;
  }
  const ValueId output = builder->output(node.output_index(0), shape);
  if (output < 0) return "an output shape that does not follow from the inputs";
  builder->add(std::make_unique<SelectStep>(find_operator(node.builtin())->name, std::move(inputs),
                                            output, params, Work{0, shape.elements() / 16}));
  return nullptr;
}

}  // namespace

extern const Operator k_select = {kTfLiteBuiltinSelect, "SELECT", 4, refuse, nullptr, plan};
extern const Operator k_select_v2 = {kTfLiteBuiltinSelectV2, "SELECT_V2", 2, refuse, nullptr, plan};

}  // namespace int8x
