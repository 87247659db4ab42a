#include "delegate/ops/operator.h"
#include "delegate/ops/quantized.h"
#include "delegate/plan/steps.h"

namespace int8x {
namespace {

bool make_params(const NodeView& node, const Shape& shape, arch::ArchSet archs, MeanParams* out) {
  Activation input, output;
  std::vector<int32_t> axes;
  if (read_unary(node, &input, &output) != nullptr) return false;
  if (!constant_integers(node.input(1), &axes)) return false;
  const MeanQuantization q = {input.scale, output.scale, input.zero_point, output.zero_point};
  return make_mean_params(q, shape.dims, shape.rank, axes.data(), static_cast<int>(axes.size()),
                          archs, out);
}

Reason refuse(const NodeView& node) {
  if (Reason reason = check_counts(node, 2, 2, 1)) return reason;
  Activation input, output;
  if (Reason reason = read_unary(node, &input, &output)) return reason;
  std::vector<int32_t> axes;
  if (!constant_integers(node.input(1), &axes)) return "axes that are not constant";
  Shape shape;
  MeanParams params;
  if (!read_shape(node.input(0), &shape)) return "a shape that cannot be read";
  if (!make_params(node, shape, arch::bit(arch::reference), &params)) {
    return "axes or scales that the kernel does not take";
  }
  return nullptr;
}

// The shape that the reduction leaves, with the reduced axes as 1 or gone.
Shape reduced(const Shape& in, const std::vector<int32_t>& axes, bool keep) {
  Shape out;
  for (int i = 0; i < in.rank; ++i) {
    bool gone = false;
    for (int32_t axis : axes) gone |= (axis < 0 ? axis + in.rank : axis) == i;
    if (!gone) {
      out.dims[out.rank++] = in.dims[i];
    } else if (keep) {
      out.dims[out.rank++] = 1;
    }
  }
  return out;
}

Reason plan(const NodeView& node, const Packed&, const Resources& resources, PlanBuilder* builder) {
  const ValueId input = builder->input(node.input_index(0));
  const ValueId output = builder->output(node.output_index(0));
  if (input < 0 || output < 0) return "a shape that cannot be read";
  const Shape in = builder->shape(input);
  const auto* options = node.params<TfLiteReducerParams>();
  std::vector<int32_t> axes;
  MeanParams params;
  if (!constant_integers(node.input(1), &axes) ||
      !make_params(node, in, resources.archs, &params)) {
    return "axes or scales that the kernel does not take";
  }
  if (builder->shape(output) != reduced(in, axes, options != nullptr && options->keep_dims)) {
    return "an output shape that does not follow from the input";
  }
  builder->add(std::make_unique<MeanStep>("MEAN", std::vector<ValueId>{input}, output, params,
                                          Work{0, in.elements() / 16}));
  return nullptr;
}

}  // namespace

extern const Operator k_mean = {kTfLiteBuiltinMean, "MEAN", 3, refuse, nullptr, plan};

}  // namespace int8x
