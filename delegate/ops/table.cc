// Operators on one s8 tensor that are a table: LOGISTIC, RELU, RELU6.

#include "delegate/ops/operator.h"
#include "delegate/ops/quantized.h"
#include "delegate/plan/steps.h"

namespace int8x {
namespace {

using MakeTable = bool (*)(const LutQuantization&, uint8_t*);

bool fill(const NodeView& node, MakeTable make, uint8_t* table) {
  Activation input, output;
  if (read_unary(node, &input, &output) != nullptr) return false;
  return make({input.scale, output.scale, input.zero_point, output.zero_point}, table);
}

template <MakeTable kMake>
Reason refuse(const NodeView& node) {
  if (Reason reason = check_counts(node, 1, 1, 1)) return reason;
  Activation input, output;
  if (Reason reason = read_unary(node, &input, &output)) return reason;
  uint8_t table[kLutSize];
  return fill(node, kMake, table) ? nullptr : "scales that the reference refuses";
}

template <MakeTable kMake>
Reason plan(const NodeView& node, const Packed&, const Resources& resources, PlanBuilder* builder) {
  const ValueId input = builder->input(node.input_index(0));
  const ValueId output = builder->output(node.output_index(0));
  if (input < 0 || output < 0) return "a shape that cannot be read";
  const int64_t elements = builder->shape(input).elements();
  if (builder->shape(output) != builder->shape(input)) return "an output of another shape";
  uint8_t table[kLutSize];
  LutParams params;
  if (!fill(node, kMake, table) || !make_lut_params(table, elements, resources.archs, &params)) {
    return "scales that the reference refuses";
  }
  const char* name = find_operator(node.builtin())->name;
  builder->add(std::make_unique<LutStep>(name, std::vector<ValueId>{input}, output, params,
                                         Work{0, elements / 4}));
  return nullptr;
}

}  // namespace

extern const Operator k_logistic = {kTfLiteBuiltinLogistic,    "LOGISTIC", 3,
                                    refuse<make_logistic_lut>, nullptr,    plan<make_logistic_lut>};
extern const Operator k_relu = {kTfLiteBuiltinRelu,    "RELU",  3,
                                refuse<make_relu_lut>, nullptr, plan<make_relu_lut>};
extern const Operator k_relu6 = {kTfLiteBuiltinRelu6,    "RELU6", 3,
                                 refuse<make_relu6_lut>, nullptr, plan<make_relu6_lut>};

}  // namespace int8x
