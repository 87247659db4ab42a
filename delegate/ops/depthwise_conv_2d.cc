#include "delegate/kernels/depthwise/depthwise.h"
#include "delegate/ops/operator.h"
#include "delegate/ops/quantized.h"
#include "delegate/ops/wide.h"
#include "delegate/plan/cost.h"
#include "delegate/plan/steps.h"

namespace int8x {
namespace {

class Weights : public PackedWeights {
 public:
  explicit Weights(DepthwiseWeightsPtr weights) : held(std::move(weights)) {}
  size_t bytes() const override { return depthwise_weights_bytes(*held); }
  const DepthwiseWeightsPtr held;
};

struct Node {
  const TfLiteDepthwiseConvParams* params;
  Shape filter;  // [1, height, width, channels]
  std::vector<float> scales;
  std::vector<int8_t> unpacked;  // INT4 weights
  DepthwiseSpec spec;
};

Reason read(const NodeView& view, Node* out) {
  if (Reason reason = check_counts(view, 2, 3, 1)) return reason;
  out->params = view.params<TfLiteDepthwiseConvParams>();
  if (out->params == nullptr) return "no options";
  const TfLiteDepthwiseConvParams& p = *out->params;
  Activation input, output;
  if (Reason reason = read_unary(view, &input, &output)) return reason;
  Quantization weights;
  if (Reason reason = read_weights(view.input(1), 4, 3, &weights)) return reason;
  // The reference does not look at the weights' zero points; others do: such a model is odd.
  if (!weights.zero_points_are_zero()) return "weights with a zero point";
  Shape in;
  if (!read_shape(view.input(1), &out->filter) || !read_shape(view.input(0), &in) || !is_nhwc(in)) {
    return "an input that is not [batch, height, width, channels]";
  }
  if (out->filter.dims[0] != 1) return "weights that are not [1, height, width, channels]";
  const int channels = out->filter.dims[3];
  if (channels % in.dims[3] != 0) return "channels that do not fit the weights";
  const int32_t* bias;
  if (Reason reason = read_bias(view, 2, channels, &bias)) return reason;
  ActivationRange range;
  if (!activation_range(p.activation, output, &range)) {
    return "a fused activation that does not fit the output's scale";
  }
  Window window;
  if (!slide(p.padding, 1, out->filter.dims[1], p.stride_height, p.dilation_height_factor,
             &window) ||
      !slide(p.padding, 1, out->filter.dims[2], p.stride_width, p.dilation_width_factor, &window)) {
    return "a window, stride, dilation or padding out of range";
  }
  out->scales.resize(static_cast<size_t>(weights.channels()));
  for (int c = 0; c < weights.channels(); ++c) {
    out->scales[static_cast<size_t>(c)] = weights.scale(c);
  }
  out->spec = {in.dims[3],
               channels / in.dims[3],
               out->filter.dims[1],
               out->filter.dims[2],
               p.stride_height,
               p.stride_width,
               p.dilation_height_factor,
               p.dilation_width_factor,
               weight_values(view.input(1), &out->unpacked),
               bias,
               input.scale,
               output.scale,
               out->scales.data(),
               weights.channels(),
               input.zero_point,
               output.zero_point,
               range.min,
               range.max};
  return depthwise_valid(out->spec) ? nullptr : "scales whose multiplier is too large";
}

Reason refuse(const NodeView& view) {
  Node node;
  return read(view, &node);
}

Packed pack(const NodeView& view, const Resources& resources) {
  Node node;
  if (read(view, &node) != nullptr) return nullptr;
  const DepthwiseSpec& spec = node.spec;
  DepthwiseSpec plain = spec;
  plain.filter_scales = nullptr;
  plain.filter = static_cast<const int8_t*>(view.input(1).data);
  WeightKey key("DEPTHWISE_CONV_2D");
  key.add(plain).add(resources.archs);
  key.add_bytes(node.scales.data(), node.scales.size() * sizeof(float));
  return resources.weights->get(key, [&]() -> Packed {
    DepthwiseWeightsPtr packed = depthwise_pack(spec, resources.archs);
    return packed == nullptr ? nullptr : std::make_shared<Weights>(std::move(packed));
  });
}

Reason plan(const NodeView& view, const Packed& packed, const Resources& resources,
            PlanBuilder* builder) {
  Node node;
  if (Reason reason = read(view, &node)) return reason;
  const ValueId input = builder->input(view.input_index(0));
  if (input < 0) return "a shape that cannot be read";
  const Shape in = builder->shape(input);
  const TfLiteDepthwiseConvParams& p = *node.params;
  Window h, w;
  if (!slide(p.padding, in.dims[1], node.filter.dims[1], p.stride_height, p.dilation_height_factor,
             &h) ||
      !slide(p.padding, in.dims[2], node.filter.dims[2], p.stride_width, p.dilation_width_factor,
             &w)) {
    return "a window that does not fit the input";
  }
  const Shape out = {4, {in.dims[0], h.output, w.output, node.filter.dims[3]}};
  const ValueId output = builder->output(view.output_index(0), out);
  if (output < 0) return "an output shape that does not follow from the input";
  const DepthwiseGeometry geometry = {in.dims[0], in.dims[1], in.dims[2], h.output,
                                      w.output,   h.before,   w.before};
  DepthwiseParams params;
  if (!make_depthwise_params(*static_cast<const Weights&>(*packed).held, geometry, &params)) {
    return "a geometry that the kernel does not take";
  }
  const int64_t macs = out.elements() * node.filter.dims[1] * node.filter.dims[2];
  builder->add(std::make_unique<DepthwiseStep>(
      packed, "DEPTHWISE_CONV_2D", std::vector<ValueId>{input}, output, params,
      Work{macs, depthwise_nanoseconds(macs, resources.archs)}));
  return nullptr;
}

}  // namespace

extern const Operator k_depthwise_conv_2d = {
    kTfLiteBuiltinDepthwiseConv2d, "DEPTHWISE_CONV_2D", 7, refuse, pack, plan,
    &k_wide_depthwise_conv_2d};

}  // namespace int8x
