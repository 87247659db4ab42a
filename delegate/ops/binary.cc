// ADD and MUL.

#include "delegate/ops/operator.h"
#include "delegate/ops/quantized.h"
#include "delegate/plan/steps.h"

namespace int8x {
namespace {

int fused_activation(const NodeView& node) {
  // ADD and MUL both begin with it.
  const auto* params = node.params<TfLiteMulParams>();
  return params == nullptr ? kTfLiteActNone : params->activation;
}

struct Operands {
  Activation lhs, rhs, output;
  ActivationRange range;
};

Reason read_operands(const NodeView& node, Operands* out) {
  if (Reason reason = read_activation(node.input(0), &out->lhs)) return reason;
  if (Reason reason = read_activation(node.input(1), &out->rhs)) return reason;
  if (Reason reason = read_activation(node.output(0), &out->output)) return reason;
  if (!activation_range(fused_activation(node), out->output, &out->range)) {
    return "a fused activation that does not fit the output's scale";
  }
  return nullptr;
}

bool make_params(const Operands& o, const Shape& lhs, const Shape& rhs, arch::ArchSet archs,
                 AddParams* out) {
  const AddQuantization q = {o.lhs.scale,      o.rhs.scale,      o.output.scale,
                             o.lhs.zero_point, o.rhs.zero_point, o.output.zero_point,
                             o.range.min,      o.range.max};
  return make_add_params(q, lhs.dims, lhs.rank, rhs.dims, rhs.rank, archs, out);
}

bool make_params(const Operands& o, const Shape& lhs, const Shape& rhs, arch::ArchSet archs,
                 MulParams* out) {
  const MulQuantization q = {o.lhs.scale,      o.rhs.scale,      o.output.scale,
                             o.lhs.zero_point, o.rhs.zero_point, o.output.zero_point,
                             o.range.min,      o.range.max};
  return make_mul_params(q, lhs.dims, lhs.rank, rhs.dims, rhs.rank, archs, out);
}

Shape broadcast(const Shape& a, const Shape& b) {
  Shape out;
  out.rank = a.rank > b.rank ? a.rank : b.rank;
  for (int i = 0; i < out.rank; ++i) {
    out.dims[out.rank - 1 - i] = a.back(i) > b.back(i) ? a.back(i) : b.back(i);
  }
  return out;
}

template <typename Params>
Reason refuse(const NodeView& node) {
  if (Reason reason = check_counts(node, 2, 2, 1)) return reason;
  Operands operands;
  if (Reason reason = read_operands(node, &operands)) return reason;
  Shape lhs, rhs;
  Params params;
  if (!read_shape(node.input(0), &lhs) || !read_shape(node.input(1), &rhs)) {
    return "a shape that cannot be read";
  }
  if (!make_params(operands, lhs, rhs, arch::bit(arch::reference), &params)) {
    return "scales that the reference refuses, or shapes that do not broadcast";
  }
  return nullptr;
}

template <typename Params, typename StepType>
Reason plan(const NodeView& node, const Packed&, const Resources& resources, PlanBuilder* builder) {
  const ValueId lhs = builder->input(node.input_index(0));
  const ValueId rhs = builder->input(node.input_index(1));
  const ValueId output = builder->output(node.output_index(0));
  if (lhs < 0 || rhs < 0 || output < 0) return "a shape that cannot be read";
  Operands operands;
  if (Reason reason = read_operands(node, &operands)) return reason;
  Params params;
  const Shape left = builder->shape(lhs), right = builder->shape(rhs);
  if (!make_params(operands, left, right, resources.archs, &params)) {
    return "shapes that do not broadcast";
  }
  if (builder->shape(output) != broadcast(left, right)) {
    return "an output shape that does not follow from the inputs";
  }
  const char* name = find_operator(node.builtin())->name;
  builder->add(std::make_unique<StepType>(name, std::vector<ValueId>{lhs, rhs}, output, params,
                                          Work{0, builder->shape(output).elements() / 4}));
  return nullptr;
}

}  // namespace

extern const Operator k_add = {kTfLiteBuiltinAdd, "ADD",   4,
                               refuse<AddParams>, nullptr, plan<AddParams, AddStep>};
extern const Operator k_mul = {kTfLiteBuiltinMul, "MUL",   4,
                               refuse<MulParams>, nullptr, plan<MulParams, MulStep>};

}  // namespace int8x
