#include "delegate/ops/operator.h"
#include "delegate/ops/quantized.h"
#include "delegate/plan/steps.h"

namespace int8x {
namespace {

bool make_params(const Activation& input, const Shape& shape, L2NormalizationParams* out) {
  if (shape.rank < 1) return false;
  const int64_t depth = shape.back(0);
  return make_l2_normalization_params(input.zero_point, shape.elements() / depth, depth, out);
}

Reason refuse(const NodeView& node) {
  if (Reason reason = check_counts(node, 1, 1, 1)) return reason;
  Activation input, output;
  if (Reason reason = read_unary(node, &input, &output)) return reason;
  const auto* options = node.params<TfLiteL2NormParams>();
  if (options == nullptr) return "no options";
  if (options->activation != kTfLiteActNone) return "a fused activation";
  if (output.zero_point != 0 || output.scale != 1.0f / 128) {
    return "an output whose scale is not 1/128 or whose zero point is not 0";
  }
  Shape shape;
  L2NormalizationParams params;
  if (!read_shape(node.input(0), &shape)) return "a shape that cannot be read";
  return make_params(input, shape, &params) ? nullptr : "rows that the kernel does not take";
}

Reason plan(const NodeView& node, const Packed&, const Resources&, PlanBuilder* builder) {
  const ValueId input = builder->input(node.input_index(0));
  if (input < 0) return "a shape that cannot be read";
  const Shape shape = builder->shape(input);
  const ValueId output = builder->output(node.output_index(0), shape);
  if (output < 0) return "an output of another shape";
  Activation from, to;
  if (Reason reason = read_unary(node, &from, &to)) return reason;
  L2NormalizationParams params;
  if (!make_params(from, shape, &params)) return "rows that the kernel does not take";
  builder->add(std::make_unique<L2NormalizationStep>("L2_NORMALIZATION",
                                                     std::vector<ValueId>{input}, output, params,
                                                     Work{0, shape.elements() * 2}));
  return nullptr;
}

}  // namespace

extern const Operator k_l2_normalization = {
    kTfLiteBuiltinL2Normalization, "L2_NORMALIZATION", 2, refuse, nullptr, plan};

}  // namespace int8x
