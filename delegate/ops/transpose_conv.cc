// TRANSPOSE_CONV as a convolution of stride 1 and a rearrangement. With p the padding in front and
// s the stride, output o takes from input j - t the tap r + s * t, where o + p = s * j + r: for
// each of the s phases r an ordinary convolution over j. All phases are output channels of one,
// with weights of zero where a phase has no tap; what they give is then put side by side.

#include <cstring>

#include "delegate/kernels/conv/conv.h"
#include "delegate/ops/move.h"
#include "delegate/ops/quantized.h"
#include "delegate/plan/cost.h"
#include "delegate/plan/steps.h"

namespace int8x {
namespace {

class Weights : public PackedWeights {
 public:
  explicit Weights(ConvWeightsPtr weights) : held(std::move(weights)) {}
  size_t bytes() const override { return conv_weights_bytes(*held); }
  const std::shared_ptr<const ConvWeights> held;
};

struct Node {
  const TfLiteTransposeConvParams* params;
  Activation input, output;
  ActivationRange range;
  std::vector<double> scales;
  Shape filter;     // [out, height, width, in]
  Shape requested;  // the output
  const int32_t* bias;
  int taps_h, taps_w;  // of one phase
};

// The weights' first inputs: the output's shape, the weights, the data.
constexpr int kShape = 0, kWeights = 1, kData = 2, kBias = 3;
constexpr int64_t kMaxStride = 64;

Reason read(const NodeView& view, Node* out) {
  if (Reason reason = check_counts(view, 3, 4, 1)) return reason;
  out->params = view.params<TfLiteTransposeConvParams>();
  if (out->params == nullptr) return "no options";
  if (Reason reason = read_activation(view.input(kData), &out->input)) return reason;
  if (Reason reason = read_activation(view.output(0), &out->output)) return reason;
  Quantization weights;
  if (Reason reason = read_weights(view.input(kWeights), 4, 0, &weights)) return reason;
  if (!weights.zero_points_are_zero()) return "weights with a zero point";
  if (!read_shape(view.input(kWeights), &out->filter)) return "a shape that cannot be read";
  if (Reason reason = read_bias(view, kBias, out->filter.dims[0], &out->bias)) return reason;
  if (!activation_range(out->params->activation, out->output, &out->range)) {
    return "a fused activation that does not fit the output's scale";
  }
  if (!effective_scales(out->input.scale, weights, out->output.scale, &out->scales)) {
    return "scales whose multiplier is too large";
  }
  std::vector<int32_t> shape;
  if (!constant_integers(view.input(kShape), &shape)) {
    return "an output shape that is not constant (a model converted with a fixed batch has one)";
  }
  if (shape.size() != 4) return "an output that is not [batch, height, width, channels]";
  out->requested.rank = 4;
  for (int i = 0; i < 4; ++i) out->requested.dims[i] = shape[static_cast<size_t>(i)];
  const TfLiteTransposeConvParams& p = *out->params;
  if (p.stride_height < 1 || p.stride_width < 1 || p.stride_height > kMaxStride ||
      p.stride_width > kMaxStride) {
    return "a stride out of range";
  }
  out->taps_h = (out->filter.dims[1] + p.stride_height - 1) / p.stride_height;
  out->taps_w = (out->filter.dims[2] + p.stride_width - 1) / p.stride_width;
  const int64_t phases = int64_t{p.stride_height} * p.stride_width;
  if (phases * out->taps_h * out->taps_w * out->filter.dims[0] * out->filter.dims[3] >
      Shape::kMaxElements) {
    return "weights that are too large";
  }
  return nullptr;
}

// The convolution and what becomes of its output, for one shape of the input.
struct Geometry {
  ConvGeometry conv;
  Shape phases;  // the convolution's output
  Move move;
};

Reason find_geometry(const Node& node, const Shape& in, Geometry* out) {
  const TfLiteTransposeConvParams& p = *node.params;
  const Shape& filter = node.filter;
  const Shape& to = node.requested;
  if (!is_nhwc(in) || in.dims[3] != filter.dims[3]) return "channels that do not fit the weights";
  for (int i = 0; i < 4; ++i) {
    if (to.dims[i] < 1) return "an output shape out of range";
  }
  Window h, w;
  // What a convolution that goes the other way takes from the output.
  if (!slide(p.padding, to.dims[1], filter.dims[1], p.stride_height, 1, &h) ||
      !slide(p.padding, to.dims[2], filter.dims[2], p.stride_width, 1, &w) ||
      h.output != in.dims[1] || w.output != in.dims[2] || to.dims[0] != in.dims[0] ||
      to.dims[3] != filter.dims[0]) {
    return "an output shape that does not belong to the input";
  }
  const int32_t sh = p.stride_height, sw = p.stride_width, channels = filter.dims[0];
  const int32_t rows = (to.dims[1] - 1 + h.before) / sh + 1;
  const int32_t columns = (to.dims[2] - 1 + w.before) / sw + 1;
  const int64_t line = int64_t{columns} * sh * sw * channels;
  if (int64_t{in.dims[0]} * rows * line > Shape::kMaxElements) return "an output that is too large";
  out->phases = {4, {in.dims[0], rows, columns, sh * sw * channels}};
  out->conv = {in.dims[0],
               in.dims[1],
               in.dims[2],
               in.dims[3],
               rows,
               columns,
               sh * sw * channels,
               node.taps_h,
               node.taps_w,
               1,
               1,
               1,
               1,
               node.taps_h - 1,
               node.taps_w - 1,
               1};
  out->move.shape = to;
  out->move.axes = {
      {to.dims[0], rows * line, {}}, {to.dims[1], 0, {}}, {to.dims[2], 0, {}}, {channels, 1, {}}};
  for (int64_t y = h.before; y < h.before + to.dims[1]; ++y) {
    out->move.axes[1].offsets.push_back(y / sh * line + y % sh * sw * channels);
  }
  for (int64_t x = w.before; x < w.before + to.dims[2]; ++x) {
    out->move.axes[2].offsets.push_back(x / sw * sh * sw * channels + x % sw * channels);
  }
  return nullptr;
}

Reason refuse(const NodeView& view) {
  Node node;
  if (Reason reason = read(view, &node)) return reason;
  Shape in;
  Geometry geometry;
  if (!read_shape(view.input(kData), &in)) return "a shape that cannot be read";
  return find_geometry(node, in, &geometry);
}

// [phase][out] rows of [taps_h][taps_w][in], the taps of a phase from the last to the first.
std::vector<int8_t> phase_weights(const Node& node, const int8_t* weights) {
  const int sh = node.params->stride_height, sw = node.params->stride_width;
  const int out_c = node.filter.dims[0], kh = node.filter.dims[1], kw = node.filter.dims[2];
  const size_t in_c = static_cast<size_t>(node.filter.dims[3]);
  std::vector<int8_t> phases(static_cast<size_t>(sh * sw * out_c) *
                             static_cast<size_t>(node.taps_h * node.taps_w) * in_c);
  int8_t* to = phases.data();
  for (int phase = 0; phase < sh * sw; ++phase) {
    for (int o = 0; o < out_c; ++o) {
      for (int u = node.taps_h - 1; u >= 0; --u) {
        for (int v = node.taps_w - 1; v >= 0; --v, to += in_c) {
          const int y = phase / sw + sh * u, x = phase % sw + sw * v;
          if (y >= kh || x >= kw) continue;
          std::memcpy(to, weights + static_cast<size_t>((o * kh + y) * kw + x) * in_c, in_c);
        }
      }
    }
  }
  return phases;
}

Packed pack(const NodeView& view, const Resources& resources) {
  Node node;
  if (read(view, &node) != nullptr) return nullptr;
  const TfLiteTransposeConvParams& p = *node.params;
  const auto* weights = static_cast<const int8_t*>(constant_data(view.input(kWeights)));
  const size_t out_c = static_cast<size_t>(node.filter.dims[0]);
  const size_t phases = static_cast<size_t>(p.stride_height * p.stride_width);
  std::vector<Multiplier> multipliers(phases * out_c);
  std::vector<int32_t> bias(phases * out_c, 0);
  for (size_t c = 0; c < multipliers.size(); ++c) {
    multipliers[c] = quantize_multiplier(node.scales[node.scales.size() == 1 ? 0 : c % out_c]);
    if (node.bias != nullptr) bias[c] = node.bias[c % out_c];
  }
  WeightKey key("TRANSPOSE_CONV");
  key.add(weights).add(node.bias).add(node.filter).add(node.range).add(resources.archs);
  key.add(p.stride_height).add(p.stride_width);
  key.add(node.input.zero_point).add(node.output.zero_point);
  key.add_bytes(multipliers.data(), out_c * sizeof(Multiplier));
  return resources.weights->get(key, [&]() -> Packed {
    const std::vector<int8_t> arranged = phase_weights(node, weights);
    ConvWeightsPtr packed =
        conv_pack({static_cast<int>(phases * out_c), node.taps_h, node.taps_w, node.filter.dims[3],
                   1, arranged.data(), bias.data(), multipliers.data(), node.input.zero_point,
                   node.output.zero_point, node.range.min, node.range.max},
                  resources.archs);
    return packed == nullptr ? nullptr : std::make_shared<Weights>(std::move(packed));
  });
}

Reason plan(const NodeView& view, const Packed& packed, const Resources& resources,
            PlanBuilder* builder) {
  Node node;
  if (Reason reason = read(view, &node)) return reason;
  const ValueId input = builder->input(view.input_index(kData));
  if (input < 0) return "a shape that cannot be read";
  Geometry g;
  if (Reason reason = find_geometry(node, builder->shape(input), &g)) return reason;
  const ValueId output = builder->output(view.output_index(0), node.requested);
  if (output < 0) return "an output shape that does not follow from the input";
  MoveParams move;
  if (!make_move_params(g.move.axes, 0, g.phases.elements(), 1, &move)) {
    return "an output that the kernel does not take";
  }
  const ValueId phases = builder->temporary(ElementType::s8, g.phases);
  const auto& weights = static_cast<const Weights&>(*packed).held;
  const int64_t macs = g.phases.elements() * node.taps_h * node.taps_w * node.filter.dims[3];
  builder->add(std::make_unique<ConvStep>(
      weights, input, phases, g.conv,
      Work{macs, product_nanoseconds(macs, resources.archs) + g.phases.elements() / 20},
      "TRANSPOSE_CONV"));
  builder->add(std::make_unique<MoveStep>("TRANSPOSE_CONV", std::vector<ValueId>{phases}, output,
                                          move, Work{0, node.requested.elements() / 8}));
  return nullptr;
}

}  // namespace

extern const Operator k_transpose_conv = {
    kTfLiteBuiltinTransposeConv, "TRANSPOSE_CONV", 4, refuse, pack, plan};

}  // namespace int8x
