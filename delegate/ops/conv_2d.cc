#include "delegate/kernels/conv/conv.h"
#include "delegate/kernels/sparse/sparse.h"
#include "delegate/ops/operator.h"
#include "delegate/ops/quantized.h"
#include "delegate/ops/wide.h"
#include "delegate/plan/cost.h"
#include "delegate/plan/sparse_step.h"
#include "delegate/plan/steps.h"

namespace int8x {
namespace {

class Weights : public PackedWeights {
 public:
  explicit Weights(ConvWeightsPtr weights) : held(std::move(weights)) {}
  explicit Weights(SparseWeightsPtr weights) : sparse(std::move(weights)) {}
  size_t bytes() const override {
    return held != nullptr ? conv_weights_bytes(*held) : sparse_weights_bytes(*sparse);
  }
  // One of them is null.
  const std::shared_ptr<const ConvWeights> held;
  const std::shared_ptr<const SparseWeights> sparse;
};

struct Node {
  const TfLiteConvParams* params;
  Activation input, output;
  ActivationRange range;
  Quantization weights;
  Shape filter;  // [out, height, width, in / groups]
  const int32_t* bias;
  int in_c, groups;
};

Reason read(const NodeView& node, Node* out) {
  if (Reason reason = check_counts(node, 2, 3, 1)) return reason;
  out->params = node.params<TfLiteConvParams>();
  if (out->params == nullptr) return "no options";
  if (Reason reason = read_unary(node, &out->input, &out->output)) return reason;
  if (Reason reason = read_weights(node.input(1), 4, 0, &out->weights)) return reason;
  if (!out->weights.zero_points_are_zero()) return "weights with a zero point";
  Shape in;
  if (!read_shape(node.input(1), &out->filter) || !read_shape(node.input(0), &in) || !is_nhwc(in)) {
    return "an input that is not [batch, height, width, channels]";
  }
  if (Reason reason = read_bias(node, 2, out->filter.dims[0], &out->bias)) return reason;
  out->in_c = in.dims[3];
  out->groups = in.dims[3] / out->filter.dims[3];
  if (out->groups < 1 || in.dims[3] % out->filter.dims[3] != 0 ||
      out->filter.dims[0] % out->groups != 0) {
    return "channels that do not fit the weights";
  }
  if (!activation_range(out->params->activation, out->output, &out->range)) {
    return "a fused activation that does not fit the output's scale";
  }
  Window window;
  if (!slide(out->params->padding, 1, out->filter.dims[1], out->params->stride_height,
             out->params->dilation_height_factor, &window) ||
      !slide(out->params->padding, 1, out->filter.dims[2], out->params->stride_width,
             out->params->dilation_width_factor, &window)) {
    return "a window, stride, dilation or padding out of range";
  }
  return nullptr;
}

Reason refuse(const NodeView& view) {
  Node node;
  if (Reason reason = read(view, &node)) return reason;
  std::vector<double> scales;
  if (!effective_scales(node.input.scale, node.weights, node.output.scale, &scales)) {
    return "scales whose multiplier is too large";
  }
  return nullptr;
}

// The layer with the output's size as it is now: a resize keeps the choice that is made by it.
SparseLayer layer_of(const NodeView& view, const Node& node, const int8_t* weights) {
  SparseLayer layer = {0, node.filter.dims[0], node.filter.dims[1] * node.filter.dims[2],
                       node.filter.dims[3], 0};
  Shape in;
  Window h, w;
  const TfLiteConvParams& p = *node.params;
  if (node.groups != 1 || layer.in_c % 4 != 0 || !read_shape(view.input(0), &in) ||
      !slide(p.padding, in.dims[1], node.filter.dims[1], p.stride_height, p.dilation_height_factor,
             &h) ||
      !slide(p.padding, in.dims[2], node.filter.dims[2], p.stride_width, p.dilation_width_factor,
             &w)) {
    return layer;
  }
  layer.pixels = int64_t{in.dims[0]} * h.output * w.output;
  layer.kept = sparse_kept_blocks(weights, int64_t{layer.out_c} * layer.taps, layer.in_c);
  return layer;
}

Packed pack(const NodeView& view, const Resources& resources) {
  Node node;
  std::vector<double> scales;
  if (read(view, &node) != nullptr ||
      !effective_scales(node.input.scale, node.weights, node.output.scale, &scales)) {
    return nullptr;
  }
  const int out_c = node.filter.dims[0];
  std::vector<Multiplier> multipliers(static_cast<size_t>(out_c));
  for (size_t c = 0; c < multipliers.size(); ++c) {
    multipliers[c] = quantize_multiplier(scales[scales.size() == 1 ? 0 : c]);
  }
  std::vector<int8_t> unpacked;
  const ConvSpec spec = {out_c,
                         node.filter.dims[1],
                         node.filter.dims[2],
                         node.in_c,
                         node.groups,
                         weight_values(view.input(1), &unpacked),
                         node.bias,
                         multipliers.data(),
                         node.input.zero_point,
                         node.output.zero_point,
                         node.range.min,
                         node.range.max};
  const SparseLayer layer =
      resources.sparse == SparseUse::off ? SparseLayer{} : layer_of(view, node, spec.weights);
  const bool sparse = sparse_chosen(resources.sparse, layer, resources.archs);
  const bool by_row = sparse_by_row(layer, resources.archs);
  WeightKey key(!sparse ? "CONV_2D" : by_row ? "CONV_2D sparse by row" : "CONV_2D sparse");
  key.add(view.input(1).data).add(spec.bias).add(node.filter).add(node.in_c).add(node.range);
  key.add(node.input.zero_point).add(node.output.zero_point).add(resources.archs);
  key.add_bytes(multipliers.data(), multipliers.size() * sizeof(Multiplier));
  return resources.weights->get(key, [&]() -> Packed {
    if (sparse) {
      SparseWeightsPtr packed =
          sparse_pack({out_c, spec.kernel_h * spec.kernel_w, spec.in_c, spec.weights, spec.bias,
                       spec.multipliers, nullptr, 0, spec.input_zero_point, spec.output_zero_point,
                       spec.activation_min, spec.activation_max, by_row},
                      resources.archs);
      return packed == nullptr ? nullptr : std::make_shared<Weights>(std::move(packed));
    }
    ConvWeightsPtr packed = conv_pack(spec, resources.archs);
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
  const TfLiteConvParams& p = *node.params;
  Window h, w;
  if (!slide(p.padding, in.dims[1], node.filter.dims[1], p.stride_height, p.dilation_height_factor,
             &h) ||
      !slide(p.padding, in.dims[2], node.filter.dims[2], p.stride_width, p.dilation_width_factor,
             &w)) {
    return "a window that does not fit the input";
  }
  const Shape out = {4, {in.dims[0], h.output, w.output, node.filter.dims[0]}};
  const ValueId output = builder->output(view.output_index(0), out);
  if (output < 0) return "an output shape that does not follow from the input";
  const ConvGeometry geometry = {in.dims[0],
                                 in.dims[1],
                                 in.dims[2],
                                 in.dims[3],
                                 h.output,
                                 w.output,
                                 node.filter.dims[0],
                                 node.filter.dims[1],
                                 node.filter.dims[2],
                                 p.stride_height,
                                 p.stride_width,
                                 p.dilation_height_factor,
                                 p.dilation_width_factor,
                                 h.before,
                                 w.before,
                                 node.groups};
  const auto& weights = static_cast<const Weights&>(*packed).held;
  const auto& sparse = static_cast<const Weights&>(*packed).sparse;
  const int64_t macs = out.elements() * (node.filter.elements() / node.filter.dims[0]);
  if (sparse != nullptr) {
    const SparseLayer layer = {out.elements() / out.dims[3], out.dims[3],
                               geometry.kernel_h * geometry.kernel_w, in.dims[3],
                               sparse_weights_kept(*sparse)};
    builder->add(std::make_unique<SparseStep>(
        "CONV_2D", sparse, input, output,
        SparseGeometry{geometry.batch, geometry.in_h, geometry.in_w, geometry.out_h, geometry.out_w,
                       geometry.kernel_h, geometry.kernel_w, geometry.stride_h, geometry.stride_w,
                       geometry.dilation_h, geometry.dilation_w, geometry.pad_top,
                       geometry.pad_left},
        Work{macs, sparse_nanoseconds(layer, resources.archs)}));
    return nullptr;
  }
  builder->add(std::make_unique<ConvStep>(
      weights, input, output, geometry,
      Work{macs, product_nanoseconds(macs, resources.archs) + out.elements() / 8}));
  return nullptr;
}

}  // namespace

extern const Operator k_conv_2d = {kTfLiteBuiltinConv2d, "CONV_2D", 8, refuse, pack, plan,
                                   &k_wide_conv_2d};

}  // namespace int8x
