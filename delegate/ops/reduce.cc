// MEAN, SUM, REDUCE_MAX and REDUCE_MIN.

#include "delegate/ops/operator.h"
#include "delegate/ops/quantized.h"
#include "delegate/plan/steps.h"

namespace int8x {
namespace {

bool is_extremum(int builtin) {
  return builtin == kTfLiteBuiltinReduceMax || builtin == kTfLiteBuiltinReduceMin;
}

bool make_params(const NodeView& node, const Shape& shape, const std::vector<int32_t>& axes,
                 arch::ArchSet archs, MeanParams* out) {
  Activation input, output;
  if (read_unary(node, &input, &output) != nullptr) return false;
  const MeanQuantization q = {input.scale, output.scale, input.zero_point, output.zero_point};
  const auto make = node.builtin() == kTfLiteBuiltinSum ? make_sum_params : make_mean_params;
  return make(q, shape.dims, shape.rank, axes.data(), static_cast<int>(axes.size()), archs, out);
}

bool make_params(const NodeView& node, const Shape& shape, const std::vector<int32_t>& axes,
                 arch::ArchSet, ExtremumParams* out) {
  return make_extremum_params(node.builtin() == kTfLiteBuiltinReduceMax, shape.dims, shape.rank,
                              axes.data(), static_cast<int>(axes.size()), out);
}

template <typename Params>
Reason refuse(const NodeView& node) {
  if (Reason reason = check_counts(node, 2, 2, 1)) return reason;
  Activation input, output;
  if (Reason reason = read_unary(node, &input, &output)) return reason;
  if (is_extremum(node.builtin()) &&
      (input.scale != output.scale || input.zero_point != output.zero_point)) {
    return "input and output of different quantization";
  }
  std::vector<int32_t> axes;
  if (!constant_integers(node.input(1), &axes)) return "axes that are not constant";
  Shape shape;
  Params params;
  if (!read_shape(node.input(0), &shape)) return "a shape that cannot be read";
  if (!make_params(node, shape, axes, arch::bit(arch::reference), &params)) {
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

template <typename Params, typename StepType>
Reason plan(const NodeView& node, const Packed&, const Resources& resources, PlanBuilder* builder) {
  const ValueId input = builder->input(node.input_index(0));
  if (input < 0) return "a shape that cannot be read";
  const Shape in = builder->shape(input);
  const auto* options = node.params<TfLiteReducerParams>();
  std::vector<int32_t> axes;
  Params params;
  if (!constant_integers(node.input(1), &axes) ||
      !make_params(node, in, axes, resources.archs, &params)) {
    return "axes or scales that the kernel does not take";
  }
  const Shape out = reduced(in, axes, options != nullptr && options->keep_dims);
  const ValueId output = builder->output(node.output_index(0), out);
  if (output < 0) return "an output shape that does not follow from the input";
  const char* name = find_operator(node.builtin())->name;
  builder->add(std::make_unique<StepType>(name, std::vector<ValueId>{input}, output, params,
                                          Work{0, in.elements() / 16}));
  return nullptr;
}

template <typename Params, typename StepType>
constexpr Operator operator_of(int builtin, const char* name, int max_version) {
  return {builtin, name, max_version, refuse<Params>, nullptr, plan<Params, StepType>};
}

}  // namespace

extern const Operator k_mean = operator_of<MeanParams, MeanStep>(kTfLiteBuiltinMean, "MEAN", 3);
extern const Operator k_sum = operator_of<MeanParams, MeanStep>(kTfLiteBuiltinSum, "SUM", 2);
extern const Operator k_reduce_max =
    operator_of<ExtremumParams, ExtremumStep>(kTfLiteBuiltinReduceMax, "REDUCE_MAX", 3);
extern const Operator k_reduce_min =
    operator_of<ExtremumParams, ExtremumStep>(kTfLiteBuiltinReduceMin, "REDUCE_MIN", 3);

}  // namespace int8x
