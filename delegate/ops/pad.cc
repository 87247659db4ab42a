#include "delegate/ops/operator.h"
#include "delegate/ops/quantized.h"
#include "delegate/plan/steps.h"

namespace int8x {
namespace {

Reason read_padding(const NodeView& node, const Shape& in, std::vector<int32_t>* padding) {
  if (!constant_integers(node.input(1), padding)) return "paddings that are not constant";
  if (padding->size() != static_cast<size_t>(2 * in.rank)) {
    return "paddings that are not [rank, 2]";
  }
  return nullptr;
}

Reason refuse(const NodeView& node) {
  if (Reason reason = check_counts(node, 2, 2, 1)) return reason;
  Activation input, output;
  if (Reason reason = read_unary(node, &input, &output)) return reason;
  if (input.scale != output.scale || input.zero_point != output.zero_point) {
    return "input and output of different quantization";
  }
  Shape in;
  if (!read_shape(node.input(0), &in)) return "a shape that cannot be read";
  std::vector<int32_t> padding;
  if (Reason reason = read_padding(node, in, &padding)) return reason;
  PadParams params;
  if (!make_pad_params(in.dims, padding.data(), in.rank, output.zero_point, &params)) {
    return "paddings or a rank that the kernel does not take";
  }
  return nullptr;
}

Reason plan(const NodeView& node, const Packed&, const Resources&, PlanBuilder* builder) {
  const ValueId input = builder->input(node.input_index(0));
  const ValueId output = builder->output(node.output_index(0));
  if (input < 0 || output < 0) return "a shape that cannot be read";
  const Shape in = builder->shape(input);
  Activation from, to;
  if (Reason reason = read_unary(node, &from, &to)) return reason;
  std::vector<int32_t> padding;
  if (Reason reason = read_padding(node, in, &padding)) return reason;
  Shape padded = in;
  for (int i = 0; i < in.rank; ++i) padded.dims[i] += padding[2 * i] + padding[2 * i + 1];
  if (builder->shape(output) != padded)
    return "an output shape that does not follow from the input";
  PadParams params;
  if (!make_pad_params(in.dims, padding.data(), in.rank, to.zero_point, &params)) {
    return "paddings or a rank that the kernel does not take";
  }
  builder->add(std::make_unique<PadStep>("PAD", std::vector<ValueId>{input}, output, params,
                                         Work{0, padded.elements() / 16}));
  return nullptr;
}

}  // namespace

extern const Operator k_pad = {kTfLiteBuiltinPad, "PAD", 2, refuse, nullptr, plan};

}  // namespace int8x
