// SOFTMAX and LOG_SOFTMAX.

#include <cmath>

#include "delegate/ops/operator.h"
#include "delegate/ops/quantized.h"
#include "delegate/ops/wide.h"
#include "delegate/plan/steps.h"

namespace int8x {
namespace {

bool make_params(const NodeView& node, const Activation& input, const Shape& shape,
                 arch::ArchSet archs, SoftmaxParams* out) {
  if (shape.rank < 1) return false;
  const int64_t depth = shape.back(0);
  return make_softmax_params(input.scale, node.params<TfLiteSoftmaxParams>()->beta,
                             shape.elements() / depth, depth, archs, out);
}

Reason refuse(const NodeView& node) {
  if (Reason reason = check_counts(node, 1, 1, 1)) return reason;
  Activation input, output;
  if (Reason reason = read_unary(node, &input, &output)) return reason;
  if (node.params<TfLiteSoftmaxParams>() == nullptr) return "no options";
  // The reference wants zero point -128 and a scale within 0.1 % of 1/256.
  if (output.zero_point != -128 || std::fabs(output.scale * 256.0f - 1.0f) > 0.001f) {
    return "an output whose scale is not 1/256 or whose zero point is not -128";
  }
  Shape shape;
  SoftmaxParams params;
  if (!read_shape(node.input(0), &shape)) return "a shape that cannot be read";
  if (!make_params(node, input, shape, arch::bit(arch::reference), &params)) {
    return "a rank, beta or scale that the kernel does not take";
  }
  return nullptr;
}

Reason plan(const NodeView& node, const Packed&, const Resources& resources, PlanBuilder* builder) {
  const ValueId input = builder->input(node.input_index(0));
  if (input < 0) return "a shape that cannot be read";
  const Shape shape = builder->shape(input);
  const ValueId output = builder->output(node.output_index(0), shape);
  if (output < 0) return "an output of another shape";
  Activation from, to;
  if (Reason reason = read_unary(node, &from, &to)) return reason;
  SoftmaxParams params;
  if (!make_params(node, from, shape, resources.archs, &params)) {
    return "a rank, beta or scale that the kernel does not take";
  }
  builder->add(std::make_unique<SoftmaxStep>("SOFTMAX", std::vector<ValueId>{input}, output, params,
                                             Work{0, shape.elements() * 2}));
  return nullptr;
}

bool make_log_params(const Activation& input, const Shape& shape, LogSoftmaxParams* out) {
  if (shape.rank < 1) return false;
  const int64_t depth = shape.back(0);
  return make_log_softmax_params(input.scale, shape.elements() / depth, depth, out);
}

Reason refuse_log(const NodeView& node) {
  if (Reason reason = check_counts(node, 1, 1, 1)) return reason;
  Activation input, output;
  if (Reason reason = read_unary(node, &input, &output)) return reason;
  if (output.zero_point != 127 || output.scale != 16.0f / 256) {
    return "an output whose scale is not 16/256 or whose zero point is not 127";
  }
  Shape shape;
  LogSoftmaxParams params;
  if (!read_shape(node.input(0), &shape)) return "a shape that cannot be read";
  return make_log_params(input, shape, &params) ? nullptr : "a scale or rows out of range";
}

Reason plan_log(const NodeView& node, const Packed&, const Resources&, PlanBuilder* builder) {
  const ValueId input = builder->input(node.input_index(0));
  if (input < 0) return "a shape that cannot be read";
  const Shape shape = builder->shape(input);
  const ValueId output = builder->output(node.output_index(0), shape);
  if (output < 0) return "an output of another shape";
  Activation from, to;
  if (Reason reason = read_unary(node, &from, &to)) return reason;
  LogSoftmaxParams params;
  if (!make_log_params(from, shape, &params)) return "a scale or rows out of range";
  builder->add(std::make_unique<LogSoftmaxStep>("LOG_SOFTMAX", std::vector<ValueId>{input}, output,
                                                params, Work{0, shape.elements() * 2}));
  return nullptr;
}

}  // namespace

extern const Operator k_softmax = {kTfLiteBuiltinSoftmax, "SOFTMAX", 3, refuse, nullptr, plan,
                                   &k_wide_softmax};
extern const Operator k_log_softmax = {
    kTfLiteBuiltinLogSoftmax, "LOG_SOFTMAX", 2, refuse_log, nullptr, plan_log};

}  // namespace int8x
