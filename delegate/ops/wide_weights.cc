// 16x8 CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED: int64 biases, or none.

#include "delegate/ops/wide.h"
#include "delegate/plan/cost.h"
#include "delegate/plan/steps.h"

namespace int8x {
namespace {

class Weights : public PackedWeights {
 public:
  explicit Weights(std::shared_ptr<const WideConvWeights> weights) : held(std::move(weights)) {}
  size_t bytes() const override { return wide_conv_weights_bytes(*held); }
  const std::shared_ptr<const WideConvWeights> held;
};

// What the three operators differ in.
struct Options {
  int padding = kTfLitePaddingValid, activation = kTfLiteActNone;
  int stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
};

Reason read_options(const NodeView& view, Options* out) {
  switch (view.builtin()) {
    case kTfLiteBuiltinConv2d: {
      const auto* p = view.params<TfLiteConvParams>();
      if (p == nullptr) return "no options";
      *out = {p->padding,
              p->activation,
              p->stride_height,
              p->stride_width,
              p->dilation_height_factor,
              p->dilation_width_factor};
      return nullptr;
    }
    case kTfLiteBuiltinDepthwiseConv2d: {
      const auto* p = view.params<TfLiteDepthwiseConvParams>();
      if (p == nullptr) return "no options";
      *out = {p->padding,
              p->activation,
              p->stride_height,
              p->stride_width,
              p->dilation_height_factor,
              p->dilation_width_factor};
      return nullptr;
    }
    default: {
      const auto* p = view.params<TfLiteFullyConnectedParams>();
      if (p == nullptr) return "no options";
      if (p->weights_format != 0) return "shuffled weights";
      out->activation = p->activation;
      return nullptr;
    }
  }
}

Reason read_wide_bias(const NodeView& view, int channels, const void** out) {
  *out = nullptr;
  if (!view.has_input(2)) return nullptr;
  const TfLiteTensor& bias = view.input(2);
  Shape shape;
  if (bias.type != kTfLiteInt64) return "a bias that is not int64";
  if (!read_shape(bias, &shape) || shape.elements() != channels) return "a bias of another length";
  *out = constant_data(bias);
  return *out == nullptr ? "a bias that is not constant" : nullptr;
}

struct Node {
  Options options;
  Shape filter;
  std::vector<int8_t> unpacked;
  std::vector<double> scales;  // for each channel
  WideConvSpec spec;
};

// [out, height, width, in], [1, height, width, out] or [out, in].
Reason read(const NodeView& view, Node* out) {
  if (Reason reason = check_counts(view, 2, 3, 1)) return reason;
  if (Reason reason = read_options(view, &out->options)) return reason;
  const bool dense = view.builtin() == kTfLiteBuiltinFullyConnected;
  const bool depthwise = view.builtin() == kTfLiteBuiltinDepthwiseConv2d;
  float input, output;
  if (Reason reason = read_wide_activation(view.input(0), &input)) return reason;
  if (Reason reason = read_wide_activation(view.output(0), &output)) return reason;
  Quantization weights;
  const int rank = dense ? 2 : 4;
  if (Reason reason = read_weights(view.input(1), rank, depthwise ? 3 : 0, &weights)) return reason;
  if (!weights.zero_points_are_zero()) return "weights with a zero point";
  Shape in;
  if (!read_shape(view.input(1), &out->filter) || !read_shape(view.input(0), &in)) {
    return "a shape that cannot be read";
  }
  if (!dense && !is_nhwc(in)) return "an input that is not [batch, height, width, channels]";
  const Shape& f = out->filter;
  WideConvSpec& s = out->spec;
  s = {};
  s.depthwise = depthwise;
  s.in_double = dense;
  s.out_c = depthwise ? f.dims[3] : f.dims[0];
  s.kernel_h = dense ? 1 : f.dims[1];
  s.kernel_w = dense ? 1 : f.dims[2];
  s.in_c = dense ? f.dims[1] : in.dims[3];
  s.groups = 1;
  if (depthwise && (f.dims[0] != 1 || s.out_c % s.in_c != 0)) {
    return "channels that do not fit the weights";
  }
  if (!dense && !depthwise) {
    s.groups = s.in_c / f.dims[3];
    if (s.groups < 1 || s.in_c % f.dims[3] != 0 || s.out_c % s.groups != 0) {
      return "channels that do not fit the weights";
    }
  }
  if (Reason reason = read_wide_bias(view, s.out_c, &s.bias)) return reason;
  ActivationRange range;
  if (!wide_activation_range(out->options.activation, output, &range)) {
    return "a fused activation that does not fit the output's scale";
  }
  s.activation_min = range.min;
  s.activation_max = range.max;
  std::vector<double> scales;
  if (!effective_scales(input, weights, output, &scales))
    return "scales whose multiplier is too large";
  out->scales.assign(static_cast<size_t>(s.out_c), scales[0]);
  if (scales.size() > 1) out->scales = scales;
  s.scales = out->scales.data();
  const Options& o = out->options;
  Window window;
  if (!slide(o.padding, 1, s.kernel_h, o.stride_h, o.dilation_h, &window) ||
      !slide(o.padding, 1, s.kernel_w, o.stride_w, o.dilation_w, &window)) {
    return "a window, stride, dilation or padding out of range";
  }
  return wide_conv_valid(s) ? nullptr : "scales or a window that the kernel does not take";
}

Reason refuse(const NodeView& view) {
  Node node;
  if (Reason reason = read(view, &node)) return reason;
  Shape in;
  if (!read_shape(view.input(0), &in) || in.elements() % node.spec.in_c != 0) {
    return "an input that does not fit the weights";
  }
  return nullptr;
}

Packed pack(const NodeView& view, const Resources& resources) {
  Node node;
  if (read(view, &node) != nullptr) return nullptr;
  WeightKey key("wide");
  key.add(view.builtin()).add(view.input(1).data).add(node.spec.bias).add(node.filter);
  key.add(node.spec.in_c).add(node.spec.activation_min).add(node.spec.activation_max);
  key.add(resources.archs);
  key.add_bytes(node.scales.data(), node.scales.size() * sizeof(double));
  return resources.weights->get(key, [&]() -> Packed {
    node.spec.weights = weight_values(view.input(1), &node.unpacked);
    return std::make_shared<Weights>(wide_conv_pack(node.spec, resources.archs));
  });
}

Reason plan(const NodeView& view, const Packed& packed, const Resources& resources,
            PlanBuilder* builder) {
  Node node;
  if (Reason reason = read(view, &node)) return reason;
  const ValueId input = builder->input(view.input_index(0));
  if (input < 0) return "a shape that cannot be read";
  const Shape in = builder->shape(input);
  Shape out;
  const Options& o = node.options;
  WideConvGeometry g = {1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0};
  if (node.spec.in_double) {
    const int64_t rows = in.elements() / node.spec.in_c;
    if (in.elements() % node.spec.in_c != 0) return "an input that does not fit the weights";
    out = product_shape(view, in, rows, node.spec.out_c);
    if (out.elements() != rows * node.spec.out_c) {
      return "an output shape that does not follow from the input";
    }
    g.batch = static_cast<int>(rows);
  } else {
    Window h, w;
    if (!slide(o.padding, in.dims[1], node.spec.kernel_h, o.stride_h, o.dilation_h, &h) ||
        !slide(o.padding, in.dims[2], node.spec.kernel_w, o.stride_w, o.dilation_w, &w)) {
      return "a window that does not fit the input";
    }
    out = {4, {in.dims[0], h.output, w.output, node.spec.out_c}};
    g = {in.dims[0], in.dims[1],   in.dims[2],   h.output, w.output, o.stride_h,
         o.stride_w, o.dilation_h, o.dilation_w, h.before, w.before};
  }
  const ValueId output = builder->output(view.output_index(0), out);
  if (output < 0) return "an output shape that does not follow from the input";
  const WideConvParams params = {static_cast<const Weights&>(*packed).held, g};
  const int64_t channels = node.spec.depthwise ? 1 : node.spec.in_c / node.spec.groups;
  const int64_t macs = out.elements() * node.spec.kernel_h * node.spec.kernel_w * channels;
  const char* name = find_operator(view.builtin())->name;
  builder->add(std::make_unique<WideConvStep>(
      name, std::vector<ValueId>{input}, output, params,
      Work{macs, depthwise_nanoseconds(macs, resources.archs) + out.elements() * 2}));
  return nullptr;
}

}  // namespace

extern const Operator k_wide_conv_2d = {kTfLiteBuiltinConv2d, "CONV_2D", 8, refuse, pack, plan};
extern const Operator k_wide_depthwise_conv_2d = {
    kTfLiteBuiltinDepthwiseConv2d, "DEPTHWISE_CONV_2D", 7, refuse, pack, plan};
extern const Operator k_wide_fully_connected = {
    kTfLiteBuiltinFullyConnected, "FULLY_CONNECTED", 13, refuse, pack, plan};

}  // namespace int8x
