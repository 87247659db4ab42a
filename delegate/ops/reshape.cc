#include "delegate/ops/operator.h"
#include "delegate/ops/quantized.h"
#include "delegate/plan/steps.h"

namespace int8x {
namespace {

Reason refuse(const NodeView& node) {
  if (Reason reason = check_counts(node, 1, 2, 1)) return reason;
  if (node.input(0).type != kTfLiteInt8 || node.output(0).type != kTfLiteInt8) {
    return "a tensor that is not int8";
  }
  // A shape that is computed makes the output dynamic.
  if (node.has_input(1) && constant_data(node.input(1)) == nullptr) {
    return "a shape that is not constant";
  }
  Shape in, out;
  if (!read_shape(node.input(0), &in) || !read_shape(node.output(0), &out)) {
    return "a shape that cannot be read";
  }
  return nullptr;
}

Reason plan(const NodeView& node, const Packed&, const Resources&, PlanBuilder* builder) {
  const ValueId input = builder->input(node.input_index(0));
  const ValueId output = builder->output(node.output_index(0));
  if (input < 0 || output < 0) return "a shape that cannot be read";
  const int64_t elements = builder->shape(input).elements();
  if (builder->shape(output).elements() != elements) return "an output of another size";
  builder->add(std::make_unique<ViewStep>("RESHAPE", input, output, static_cast<size_t>(elements)));
  return nullptr;
}

}  // namespace

extern const Operator k_reshape = {kTfLiteBuiltinReshape, "RESHAPE", 1, refuse, nullptr, plan};

}  // namespace int8x
