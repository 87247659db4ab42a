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

// RESHAPE's shape from its constant, -1 being what is left; else the one that the output has.
bool wanted_shape(const NodeView& node, int64_t elements, Shape* out) {
  std::vector<int32_t> dims;
  const bool stated = node.builtin() == kTfLiteBuiltinReshape && node.has_input(1) &&
                      constant_integers(node.input(1), &dims);
  if (!stated || dims.size() > Shape::kMaxRank) {
    return read_shape(node.output(0), out) && out->elements() == elements;
  }
  *out = {};
  int64_t known = 1;
  for (const int32_t dim : dims) {
    out->dims[out->rank++] = dim;
    if (dim != -1) known *= dim;
  }
  if (known < 1 || elements % known != 0) return false;
  for (int i = 0; i < out->rank; ++i) {
    if (out->dims[i] == -1) out->dims[i] = static_cast<int32_t>(elements / known);
  }
  return out->elements() == elements;
}

Reason plan(const NodeView& node, const Packed&, const Resources&, PlanBuilder* builder) {
  const ValueId input = builder->input(node.input_index(0));
  if (input < 0) return "a shape that cannot be read";
  const int64_t elements = builder->shape(input).elements();
  Shape out;
  if (!wanted_shape(node, elements, &out)) return "a shape that does not follow from the input";
  const ValueId output = builder->output(node.output_index(0), out);
  if (output < 0) return "a shape that cannot be read";
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
