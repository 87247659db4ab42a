// Operators on one s8 tensor that are a table: LOGISTIC, TANH, the rectifiers and their kin.

#include "delegate/ops/operator.h"
#include "delegate/ops/quantized.h"
#include "delegate/ops/wide.h"
#include "delegate/plan/cost.h"
#include "delegate/plan/steps.h"

namespace int8x {
namespace {

constexpr Reason kRefused = "scales or options that the reference refuses";

using Fill = bool (*)(const NodeView&, const LutQuantization&, uint8_t*);

template <bool (*kMake)(const LutQuantization&, uint8_t*)>
bool plain(const NodeView&, const LutQuantization& q, uint8_t* table) {
  return kMake(q, table);
}

bool leaky_relu(const NodeView& node, const LutQuantization& q, uint8_t* table) {
  const auto* params = node.params<TfLiteLeakyReluParams>();
  return params != nullptr && make_leaky_relu_lut(q, params->alpha, table);
}

bool gelu(const NodeView& node, const LutQuantization& q, uint8_t* table) {
  const auto* params = node.params<TfLiteGeluParams>();
  return params != nullptr && make_gelu_lut(q, params->approximate, table);
}

bool fill(const NodeView& node, Fill make, uint8_t* table) {
  Activation input, output;
  if (read_unary(node, &input, &output) != nullptr) return false;
  return make(node, {input.scale, output.scale, input.zero_point, output.zero_point}, table);
}

template <Fill kFill>
Reason refuse(const NodeView& node) {
  if (Reason reason = check_counts(node, 1, 1, 1)) return reason;
  Activation input, output;
  if (Reason reason = read_unary(node, &input, &output)) return reason;
  uint8_t table[kLutSize];
  return fill(node, kFill, table) ? nullptr : kRefused;
}

template <Fill kFill>
Reason plan(const NodeView& node, const Packed&, const Resources& resources, PlanBuilder* builder) {
  const ValueId input = builder->input(node.input_index(0));
  if (input < 0) return "a shape that cannot be read";
  const Shape shape = builder->shape(input);
  const int64_t elements = shape.elements();
  const ValueId output = builder->output(node.output_index(0), shape);
  if (output < 0) return "an output of another shape";
  uint8_t table[kLutSize];
  LutParams params;
  if (!fill(node, kFill, table) || !make_lut_params(table, elements, resources.archs, &params)) {
    return kRefused;
  }
  const char* name = find_operator(node.builtin())->name;
  builder->add(std::make_unique<LutStep>(name, std::vector<ValueId>{input}, output, params,
                                         Work{0, table_nanoseconds(elements, resources.archs)}));
  return nullptr;
}

template <Fill kFill>
constexpr Operator operator_of(int builtin, const char* name, int max_version,
                               const Operator* wide = nullptr) {
  return {builtin, name, max_version, refuse<kFill>, nullptr, plan<kFill>, wide};
}

}  // namespace

extern const Operator k_logistic =
    operator_of<plain<make_logistic_lut>>(kTfLiteBuiltinLogistic, "LOGISTIC", 3, &k_wide_logistic);
extern const Operator k_relu = operator_of<plain<make_relu_lut>>(kTfLiteBuiltinRelu, "RELU", 3);
extern const Operator k_relu6 = operator_of<plain<make_relu6_lut>>(kTfLiteBuiltinRelu6, "RELU6", 3);
extern const Operator k_relu_n1_to_1 =
    operator_of<plain<make_relu_n1_to_1_lut>>(kTfLiteBuiltinReluN1To1, "RELU_N1_TO_1", 1);
extern const Operator k_tanh =
    operator_of<plain<make_tanh_lut>>(kTfLiteBuiltinTanh, "TANH", 3, &k_wide_tanh);
extern const Operator k_elu = operator_of<plain<make_elu_lut>>(kTfLiteBuiltinElu, "ELU", 1);
extern const Operator k_exp = operator_of<plain<make_exp_lut>>(kTfLiteBuiltinExp, "EXP", 2);
extern const Operator k_log = operator_of<plain<make_log_lut>>(kTfLiteBuiltinLog, "LOG", 2);
extern const Operator k_gelu = operator_of<gelu>(kTfLiteBuiltinGelu, "GELU", 2);
extern const Operator k_leaky_relu =
    operator_of<leaky_relu>(kTfLiteBuiltinLeakyRelu, "LEAKY_RELU", 2);
extern const Operator k_hard_swish =
    operator_of<plain<make_hard_swish_lut>>(kTfLiteBuiltinHardSwish, "HARD_SWISH", 1);
extern const Operator k_abs = operator_of<plain<make_abs_lut>>(kTfLiteBuiltinAbs, "ABS", 5);
extern const Operator k_rsqrt = operator_of<plain<make_rsqrt_lut>>(kTfLiteBuiltinRsqrt, "RSQRT", 3);

}  // namespace int8x
