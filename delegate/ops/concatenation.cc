#include "delegate/ops/operator.h"
#include "delegate/ops/quantized.h"
#include "delegate/plan/steps.h"

namespace int8x {
namespace {

Reason refuse(const NodeView& node) {
  if (Reason reason = check_counts(node, 1, kMaxConcatInputs, 1)) return reason;
  const auto* params = node.params<TfLiteConcatenationParams>();
  if (params == nullptr) return "no options";
  if (params->activation != kTfLiteActNone) return "a fused activation";
  Activation output;
  if (Reason reason = read_activation(node.output(0), &output)) return reason;
  for (int i = 0; i < node.inputs(); ++i) {
    Activation input;
    if (!node.has_input(i)) return "a missing input";
    if (Reason reason = read_activation(node.input(i), &input)) return reason;
    // The reference copies: it has no rescaling.
    if (input.scale != output.scale || input.zero_point != output.zero_point) {
      return "inputs and output of different quantization";
    }
  }
  return nullptr;
}

Reason plan(const NodeView& node, const Packed&, const Resources&, PlanBuilder* builder) {
  std::vector<ValueId> inputs;
  for (int i = 0; i < node.inputs(); ++i) {
    inputs.push_back(builder->input(node.input_index(i)));
    if (inputs.back() < 0) return "a shape that cannot be read";
  }
  Shape out = builder->shape(inputs[0]);
  int axis = node.params<TfLiteConcatenationParams>()->axis;
  if (axis < 0) axis += out.rank;
  if (axis < 0 || axis >= out.rank) return "an axis out of range";
  std::vector<int32_t> extents;
  int64_t total = 0;
  for (const ValueId input : inputs) {
    Shape in = builder->shape(input);
    extents.push_back(in.rank == out.rank ? in.dims[axis] : 0);
    total += extents.back();
    in.dims[axis] = out.dims[axis];
    if (in != out) return "inputs whose shapes differ beside the axis";
  }
  if (total > Shape::kMaxElements) return "an axis out of range";
  out.dims[axis] = static_cast<int32_t>(total);
  const ValueId output = builder->output(node.output_index(0), out);
  if (output < 0) return "an output shape that does not follow from the inputs";
  int64_t outer = 1, inner = 1;
  for (int i = 0; i < axis; ++i) outer *= out.dims[i];
  for (int i = axis + 1; i < out.rank; ++i) inner *= out.dims[i];
  ConcatParams params;
  if (!make_concat_params(extents.data(), node.inputs(), outer, inner, &params)) {
    return "shapes that the kernel does not take";
  }
  builder->add(std::make_unique<ConcatenateStep>("CONCATENATION", std::move(inputs), output, params,
                                                 Work{0, out.elements() / 16}));
  return nullptr;
}

}  // namespace

extern const Operator k_concatenation = {
    kTfLiteBuiltinConcatenation, "CONCATENATION", 2, refuse, nullptr, plan};

}  // namespace int8x
