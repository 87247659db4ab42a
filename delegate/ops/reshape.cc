// RESHAPE, SQUEEZE and EXPAND_DIMS: the same elements under another shape.

#include "delegate/ops/move.h"
#include "delegate/ops/quantized.h"
#include "delegate/plan/steps.h"

namespace int8x {
namespace {

Reason refuse(const NodeView& node) {
  if (Reason reason = check_counts(node, 1, 2, 1)) return reason;
  if (Reason reason = check_types(node.input(0), node.output(0))) return reason;
  // A shape that is computed makes the output dynamic.
  if (node.has_input(1) && constant_data(node.input(1)) == nullptr) {
    return "a shape that is not constant";
  }
  return nullptr;
}

Reason plan(const NodeView& node, const Packed&, const Resources&, PlanBuilder* builder) {
  const ValueId input = builder->input(node.input_index(0));
  const ValueId output = builder->output(node.output_index(0));
  if (input < 0 || output < 0) return "a shape that cannot be read";
  const int64_t elements = builder->shape(input).elements();
  if (builder->shape(output).elements() != elements) return "an output of another size";
  const size_t bytes = static_cast<size_t>(elements * moved_bytes(node.input(0)));
  builder->add(
      std::make_unique<ViewStep>(find_operator(node.builtin())->name, input, output, bytes));
  return nullptr;
}

}  // namespace

extern const Operator k_reshape = {kTfLiteBuiltinReshape, "RESHAPE", 1, refuse, nullptr, plan};
extern const Operator k_squeeze = {kTfLiteBuiltinSqueeze, "SQUEEZE", 2, refuse, nullptr, plan};
extern const Operator k_expand_dims = {
    kTfLiteBuiltinExpandDims, "EXPAND_DIMS", 1, refuse, nullptr, plan};

}  // namespace int8x
