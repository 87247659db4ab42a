// Operators on two s8 tensors that broadcast: ADD, SUB, MUL and their kin.

#include "delegate/ops/operator.h"
#include "delegate/ops/quantized.h"
#include "delegate/ops/wide.h"
#include "delegate/plan/steps.h"

namespace int8x {
namespace {

int fused_activation(const NodeView& node) {
  switch (node.builtin()) {
    case kTfLiteBuiltinAdd:
    case kTfLiteBuiltinSub:
    case kTfLiteBuiltinMul:
      break;  // the options of all three begin with it
    default:
      return kTfLiteActNone;
  }
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

// Each fills the parameters of its kernel for one node.
bool make_params(const NodeView& node, const Operands& o, const Shape& lhs, const Shape& rhs,
                 arch::ArchSet archs, AddParams* out) {
  const AddQuantization q = {
      o.lhs.scale,      o.rhs.scale,      o.output.scale,
      o.lhs.zero_point, o.rhs.zero_point, o.output.zero_point,
      o.range.min,      o.range.max,      node.builtin() == kTfLiteBuiltinSub};
  return make_add_params(q, lhs.dims, lhs.rank, rhs.dims, rhs.rank, archs, out);
}

bool make_params(const NodeView&, const Operands& o, const Shape& lhs, const Shape& rhs,
                 arch::ArchSet archs, MulParams* out) {
  const MulQuantization q = {o.lhs.scale,      o.rhs.scale,      o.output.scale,
                             o.lhs.zero_point, o.rhs.zero_point, o.output.zero_point,
                             o.range.min,      o.range.max};
  return make_mul_params(q, lhs.dims, lhs.rank, rhs.dims, rhs.rank, archs, out);
}

BinaryKind kind_of(int builtin) {
  switch (builtin) {
    case kTfLiteBuiltinMaximum:
      return BinaryKind::maximum;
    case kTfLiteBuiltinMinimum:
      return BinaryKind::minimum;
    case kTfLiteBuiltinSquaredDifference:
      return BinaryKind::squared_difference;
    default:
      return BinaryKind::prelu;
  }
}

bool make_params(const NodeView& node, const Operands& o, const Shape& lhs, const Shape& rhs,
                 arch::ArchSet archs, BinaryParams* out) {
  const BinaryQuantization q = {o.lhs.scale,      o.rhs.scale,      o.output.scale,
                                o.lhs.zero_point, o.rhs.zero_point, o.output.zero_point};
  return make_binary_params(kind_of(node.builtin()), q, lhs.dims, lhs.rank, rhs.dims, rhs.rank,
                            archs, out);
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
  if (!make_params(node, operands, lhs, rhs, arch::bit(arch::reference), &params)) {
    return "quantizations that the reference refuses, or shapes that do not broadcast";
  }
  return nullptr;
}

template <typename Params, typename StepType>
Reason plan(const NodeView& node, const Packed&, const Resources& resources, PlanBuilder* builder) {
  const ValueId lhs = builder->input(node.input_index(0));
  const ValueId rhs = builder->input(node.input_index(1));
  if (lhs < 0 || rhs < 0) return "a shape that cannot be read";
  Operands operands;
  if (Reason reason = read_operands(node, &operands)) return reason;
  Params params;
  const Shape left = builder->shape(lhs), right = builder->shape(rhs);
  if (!make_params(node, operands, left, right, resources.archs, &params)) {
    return "shapes that do not broadcast";
  }
  const ValueId output = builder->output(node.output_index(0), broadcast(left, right));
  if (output < 0) return "an output shape that does not follow from the inputs";
  const char* name = find_operator(node.builtin())->name;
  builder->add(std::make_unique<StepType>(name, std::vector<ValueId>{lhs, rhs}, output, params,
                                          Work{0, builder->shape(output).elements() / 4}));
  return nullptr;
}

template <typename Params, typename StepType>
constexpr Operator operator_of(int builtin, const char* name, int max_version,
                               const Operator* wide = nullptr) {
  return {builtin, name, max_version, refuse<Params>, nullptr, plan<Params, StepType>, wide};
}

}  // namespace

extern const Operator k_add =
    operator_of<AddParams, AddStep>(kTfLiteBuiltinAdd, "ADD", 4, &k_wide_add);
extern const Operator k_sub = operator_of<AddParams, AddStep>(kTfLiteBuiltinSub, "SUB", 3);
extern const Operator k_mul =
    operator_of<MulParams, MulStep>(kTfLiteBuiltinMul, "MUL", 4, &k_wide_mul);
extern const Operator k_maximum =
    operator_of<BinaryParams, ElementwiseStep>(kTfLiteBuiltinMaximum, "MAXIMUM", 4);
extern const Operator k_minimum =
    operator_of<BinaryParams, ElementwiseStep>(kTfLiteBuiltinMinimum, "MINIMUM", 4);
extern const Operator k_squared_difference = operator_of<BinaryParams, ElementwiseStep>(
    kTfLiteBuiltinSquaredDifference, "SQUARED_DIFFERENCE", 2);
extern const Operator k_prelu =
    operator_of<BinaryParams, ElementwiseStep>(kTfLiteBuiltinPrelu, "PRELU", 1);

}  // namespace int8x
