// AVERAGE_POOL_2D and MAX_POOL_2D.

#include "delegate/ops/operator.h"
#include "delegate/ops/quantized.h"
#include "delegate/ops/wide.h"
#include "delegate/plan/steps.h"

namespace int8x {
namespace {

Reason refuse(const NodeView& node) {
  if (Reason reason = check_counts(node, 1, 1, 1)) return reason;
  Activation input, output;
  if (Reason reason = read_unary(node, &input, &output)) return reason;
  const auto* params = node.params<TfLitePoolParams>();
  if (params == nullptr) return "no options";
  // The reference pools raw integers: other scales or zero points would silently change values.
  if (input.scale != output.scale || input.zero_point != output.zero_point) {
    return "input and output of different quantization";
  }
  ActivationRange range;
  if (!activation_range(params->activation, output, &range)) {
    return "a fused activation that does not fit the output's scale";
  }
  Window window;
  if (!slide(params->padding, 1, params->filter_height, params->stride_height, 1, &window) ||
      !slide(params->padding, 1, params->filter_width, params->stride_width, 1, &window)) {
    return "a window, stride or padding out of range";
  }
  return nullptr;
}

template <PoolKind kKind>
Reason plan(const NodeView& node, const Packed&, const Resources& resources, PlanBuilder* builder) {
  const auto* params = node.params<TfLitePoolParams>();
  const ValueId input = builder->input(node.input_index(0));
  if (input < 0) return "a shape that cannot be read";
  const Shape in = builder->shape(input);
  Activation from, to;
  ActivationRange range;
  if (Reason reason = read_unary(node, &from, &to)) return reason;
  if (!activation_range(params->activation, to, &range)) return "a bad fused activation";
  if (!is_nhwc(in)) return "an input that is not [batch, height, width, channels]";
  Window h, w;
  if (!slide(params->padding, in.dims[1], params->filter_height, params->stride_height, 1, &h) ||
      !slide(params->padding, in.dims[2], params->filter_width, params->stride_width, 1, &w)) {
    return "a window that does not fit the input";
  }
  const Shape out = {4, {in.dims[0], h.output, w.output, in.dims[3]}};
  const ValueId output = builder->output(node.output_index(0), out);
  if (output < 0) return "an output shape that does not follow from the input";
  const PoolGeometry geometry = {in.dims[0],
                                 in.dims[1],
                                 in.dims[2],
                                 in.dims[3],
                                 h.output,
                                 w.output,
                                 params->filter_height,
                                 params->filter_width,
                                 params->stride_height,
                                 params->stride_width,
                                 h.before,
                                 w.before};
  PoolParams pool;
  if (!make_pool_params(kKind, geometry, range.min, range.max, resources.archs, &pool)) {
    return "a pooling window that the kernel does not take";
  }
  const int64_t taps = out.elements() * params->filter_height * params->filter_width;
  const char* name = kKind == PoolKind::average ? "AVERAGE_POOL_2D" : "MAX_POOL_2D";
  builder->add(std::make_unique<PoolStep>(name, std::vector<ValueId>{input}, output, pool,
                                          Work{0, taps / 8}));
  return nullptr;
}

}  // namespace

extern const Operator k_average_pool_2d = {
    kTfLiteBuiltinAveragePool2d, "AVERAGE_POOL_2D",      2, refuse, nullptr,
    plan<PoolKind::average>,     &k_wide_average_pool_2d};
extern const Operator k_max_pool_2d = {
    kTfLiteBuiltinMaxPool2d, "MAX_POOL_2D",      2, refuse, nullptr,
    plan<PoolKind::max>,     &k_wide_max_pool_2d};

}  // namespace int8x
