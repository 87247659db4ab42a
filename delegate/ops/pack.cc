#include "delegate/ops/move.h"
#include "delegate/ops/quantized.h"
#include "delegate/plan/steps.h"

namespace int8x {
namespace {

Reason refuse(const NodeView& node) {
  if (Reason reason = check_counts(node, 1, kMaxConcatInputs, 1)) return reason;
  if (node.params<TfLitePackParams>() == nullptr) return "no options";
  for (int i = 0; i < node.inputs(); ++i) {
    if (!node.has_input(i)) return "a missing input";
    if (Reason reason = check_moved(node.input(i), node.output(0))) return reason;
  }
  return nullptr;
}

Reason plan(const NodeView& node, const Packed&, const Resources&, PlanBuilder* builder) {
  std::vector<ValueId> inputs;
  for (int i = 0; i < node.inputs(); ++i) {
    inputs.push_back(builder->input(node.input_index(i)));
    if (inputs.back() < 0) return "a shape that cannot be read";
    if (builder->shape(inputs.back()) != builder->shape(inputs[0])) {
      return "inputs of different shapes";
    }
  }
  const Shape part = builder->shape(inputs[0]);
  int32_t axis = node.params<TfLitePackParams>()->axis;
  if (part.rank >= Shape::kMaxRank) return "a rank that the kernel does not take";
  if (!normalize_axis(part.rank + 1, &axis)) return "an axis out of range";
  Shape out;
  int64_t outer = 1, inner = moved_bytes(node.output(0));
  for (int i = 0; i < part.rank; ++i) {
    if (i == axis) out.dims[out.rank++] = node.inputs();
    out.dims[out.rank++] = part.dims[i];
    (i < axis ? outer : inner) *= part.dims[i];
  }
  if (axis == part.rank) out.dims[out.rank++] = node.inputs();
  const ValueId output = builder->output(node.output_index(0), out);
  if (output < 0) return "an output that is not one entry for each input";
  const std::vector<int32_t> extents(inputs.size(), 1);
  ConcatParams params;
  if (!make_concat_params(extents.data(), node.inputs(), outer, inner, &params)) {
    return "shapes that the kernel does not take";
  }
  builder->add(std::make_unique<ConcatenateStep>("PACK", std::move(inputs), output, params,
                                                 Work{0, out.elements() / 16}));
  return nullptr;
}

}  // namespace

extern const Operator k_pack = {kTfLiteBuiltinPack, "PACK", 4, refuse, nullptr, plan};

}  // namespace int8x
