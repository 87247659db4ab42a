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

// The stated shape, -1 being what is left.
bool reshaped(const NodeView& node, int64_t elements, Shape* out) {
  std::vector<int32_t> dims;
  if (!node.has_input(1) || !constant_integers(node.input(1), &dims) ||
      dims.size() > Shape::kMaxRank) {
    return false;
  }
  int64_t known = 1;
  for (const int32_t dim : dims) {
    out->dims[out->rank++] = dim;
    if (dim != -1) known *= dim;
  }
  if (known < 1 || elements % known != 0) return false;
  for (int i = 0; i < out->rank; ++i) {
    if (out->dims[i] == -1) out->dims[i] = static_cast<int32_t>(elements / known);
  }
  return true;
}

bool expanded(const NodeView& node, const Shape& in, Shape* out) {
  std::vector<int32_t> axis;
  if (!constant_integers(node.input(1), &axis) || axis.size() != 1 || in.rank >= Shape::kMaxRank ||
      !normalize_axis(in.rank + 1, &axis[0])) {
    return false;
  }
  for (int i = 0; i <= in.rank; ++i) {
    if (i == axis[0]) out->dims[out->rank++] = 1;
    if (i < in.rank) out->dims[out->rank++] = in.dims[i];
  }
  return true;
}

// Without the stated axes, or without all of size 1 where none is stated.
bool squeezed(const NodeView& node, const Shape& in, Shape* out) {
  const auto* params = node.params<TfLiteSqueezeParams>();
  if (params == nullptr) return false;
  for (int i = 0; i < in.rank; ++i) {
    bool gone = params->num_squeeze_dims == 0 && in.dims[i] == 1;
    for (int k = 0; k < params->num_squeeze_dims && k < 8; ++k) {
      const int axis = params->squeeze_dims[k];
      gone |= (axis < 0 ? axis + in.rank : axis) == i;
    }
    if (!gone) out->dims[out->rank++] = in.dims[i];
  }
  return true;
}

// What follows from the input, or else the shape that the output has.
bool wanted_shape(const NodeView& node, const Shape& in, Shape* out) {
  *out = {};
  bool known = false;
  switch (node.builtin()) {
    case kTfLiteBuiltinExpandDims:
      known = expanded(node, in, out);
      break;
    case kTfLiteBuiltinSqueeze:
      known = squeezed(node, in, out);
      break;
    default:
      known = reshaped(node, in.elements(), out);
  }
  if (known && out->elements() == in.elements()) return true;
  return read_shape(node.output(0), out) && out->elements() == in.elements();
}

Reason plan(const NodeView& node, const Packed&, const Resources&, PlanBuilder* builder) {
  const ValueId input = builder->input(node.input_index(0));
  if (input < 0) return "a shape that cannot be read";
  const Shape in = builder->shape(input);
  Shape out;
  if (!wanted_shape(node, in, &out)) return "a shape that does not follow from the input";
  const ValueId output = builder->output(node.output_index(0), out);
  if (output < 0) return "a shape that cannot be read";
  const size_t bytes = static_cast<size_t>(in.elements() * moved_bytes(node.input(0)));
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
