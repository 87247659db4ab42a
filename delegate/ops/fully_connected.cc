#include "delegate/kernels/fully_connected/fully_connected.h"

#include <cmath>

#include "delegate/kernels/conv/conv.h"
#include "delegate/kernels/sparse/sparse.h"
#include "delegate/ops/operator.h"
#include "delegate/ops/quantized.h"
#include "delegate/ops/wide.h"
#include "delegate/plan/cost.h"
#include "delegate/plan/sparse_step.h"
#include "delegate/plan/steps.h"
#include "delegate/tflite/block_sparse.h"

namespace int8x {
namespace {

class Weights : public PackedWeights {
 public:
  explicit Weights(FullyConnectedWeightsPtr weights) : held(std::move(weights)) {}
  explicit Weights(SparseWeightsPtr weights) : sparse(std::move(weights)) {}
  explicit Weights(ConvWeightsPtr weights) : conv(std::move(weights)) {}
  size_t bytes() const override {
    return held != nullptr     ? fully_connected_weights_bytes(*held)
           : sparse != nullptr ? sparse_weights_bytes(*sparse)
                               : conv_weights_bytes(*conv);
  }
  // One of them is not null.
  const std::shared_ptr<const FullyConnectedWeights> held;
  const std::shared_ptr<const SparseWeights> sparse;
  const std::shared_ptr<const ConvWeights> conv;
};

struct Node {
  Activation input, output;
  ActivationRange range;
  Quantization weights;
  Shape filter;  // [out, in]
  const int32_t* bias;
  bool encoded;  // in TFLite's sparse form, whose kernel rounds as CONV_2D does
};

// The reference refuses a per-tensor bias whose scale is off by more than 2 % of an output step.
bool bias_scale_fits(const NodeView& view, const Node& node) {
  if (node.bias == nullptr || node.weights.channels() != 1) return true;
  Quantization bias;
  if (!Quantization::read(view.input(2), &bias) || bias.channels() != 1) return false;
  const double product = static_cast<double>(node.input.scale) * node.weights.scale();
  return std::fabs(product - bias.scale()) / node.output.scale <= 0.02;
}

Reason read_encoded(const TfLiteTensor& tensor, Quantization* out) {
  if (Reason reason = check_block_sparse(tensor)) return reason;
  if (!Quantization::read(tensor, out)) return "weights without affine quantization";
  if (!out->zero_points_are_zero()) return "sparse weights with a zero point";
  return out->channels() == 1 || out->axis() == 0 ? nullptr
                                                  : "weights with scales along an unexpected axis";
}

Reason read(const NodeView& view, Node* out) {
  if (Reason reason = check_counts(view, 2, 3, 1)) return reason;
  const auto* params = view.params<TfLiteFullyConnectedParams>();
  if (params == nullptr) return "no options";
  if (params->weights_format != 0) return "shuffled weights";
  if (Reason reason = read_unary(view, &out->input, &out->output)) return reason;
  out->encoded = view.input(1).sparsity != nullptr;
  if (Reason reason = out->encoded ? read_encoded(view.input(1), &out->weights)
                                   : read_weights(view.input(1), 2, 0, &out->weights)) {
    return reason;
  }
  if (out->weights.channels() != 1 && !out->weights.zero_points_are_zero()) {
    return "per-channel weights with a zero point";
  }
  if (out->weights.zero_point() < -128 || out->weights.zero_point() > 127) {
    return "weights with a zero point outside [-128, 127]";
  }
  if (!read_shape(view.input(1), &out->filter)) return "a shape that cannot be read";
  if (Reason reason = read_bias(view, 2, out->filter.dims[0], &out->bias)) return reason;
  if (!bias_scale_fits(view, *out)) return "a bias whose scale is not input times weights";
  if (!activation_range(params->activation, out->output, &out->range)) {
    return "a fused activation that does not fit the output's scale";
  }
  return nullptr;
}

// The real multipliers: of sparse weights with one scale the product of scales is a float.
bool find_scales(const Node& node, std::vector<double>* out) {
  if (!node.encoded || node.weights.channels() != 1) {
    return effective_scales(node.input.scale, node.weights, node.output.scale, out);
  }
  const float product = node.input.scale * node.weights.scale();
  *out = {static_cast<double>(product) / static_cast<double>(node.output.scale)};
  return out->front() < 2147483648.0;
}

Reason refuse(const NodeView& view) {
  Node node;
  if (Reason reason = read(view, &node)) return reason;
  Shape in;
  if (!read_shape(view.input(0), &in) || in.elements() % node.filter.dims[1] != 0) {
    return "an input that does not fit the weights";
  }
  std::vector<double> scales;
  return find_scales(node, &scales) ? nullptr : "scales whose multiplier is too large";
}

// The layer with as many rows as the input has now: a resize keeps the choice that is made by it.
// Pruned weights are those whose zero is 0.
SparseLayer layer_of(const NodeView& view, const FullyConnectedSpec& spec) {
  SparseLayer layer = {0, spec.out_c, 1, spec.in_c, 0};
  Shape in;
  if (spec.weights_zero_point != 0 || spec.in_c % 4 != 0 || !read_shape(view.input(0), &in)) {
    return layer;
  }
  layer.pixels = in.elements() / spec.in_c;
  layer.kept = sparse_kept_blocks(spec.weights, spec.out_c, spec.in_c);
  return layer;
}

Packed pack(const NodeView& view, const Resources& resources) {
  Node node;
  std::vector<double> scales;
  if (read(view, &node) != nullptr || !find_scales(node, &scales)) return nullptr;
  std::vector<int8_t> unpacked;
  if (node.encoded) unpacked = unpack_block_sparse(view.input(1));
  std::vector<Multiplier> multipliers;  // of encoded weights, for each channel
  for (int c = 0; node.encoded && c < node.filter.dims[0]; ++c) {
    multipliers.push_back(quantize_multiplier(scales[scales.size() == 1 ? 0 : size_t(c)]));
  }
  const Multiplier* fixed = node.encoded ? multipliers.data() : nullptr;
  const FullyConnectedSpec spec = {
      node.filter.dims[0],
      node.filter.dims[1],
      node.encoded ? unpacked.data() : weight_values(view.input(1), &unpacked),
      node.bias,
      scales.data(),
      static_cast<int>(scales.size()),
      node.weights.channels() == 1 ? node.weights.zero_point() : 0,
      node.input.zero_point,
      node.output.zero_point,
      node.range.min,
      node.range.max};
  const SparseLayer layer =
      resources.sparse == SparseUse::off ? SparseLayer{} : layer_of(view, spec);
  const bool sparse = sparse_chosen(resources.sparse, layer, resources.archs);
  const bool by_row = sparse_by_row(layer, resources.archs);
  WeightKey key(!sparse  ? "FULLY_CONNECTED"
                : by_row ? "FULLY_CONNECTED sparse by row"
                         : "FULLY_CONNECTED sparse");
  key.add(view.input(1).data).add(spec.bias).add(node.filter).add(node.range).add(resources.archs);
  key.add(spec.weights_zero_point).add(node.input.zero_point).add(node.output.zero_point);
  key.add(node.encoded);
  key.add_bytes(scales.data(), scales.size() * sizeof(double));
  return resources.weights->get(key, [&]() -> Packed {
    if (sparse) {
      SparseWeightsPtr packed = sparse_pack(
          {spec.out_c, 1, spec.in_c, spec.weights, spec.bias, fixed,
           node.encoded ? nullptr : spec.scales, spec.scale_count, spec.input_zero_point,
           spec.output_zero_point, spec.activation_min, spec.activation_max, by_row},
          resources.archs);
      return packed == nullptr ? nullptr : std::make_shared<Weights>(std::move(packed));
    }
    if (node.encoded) {
      ConvWeightsPtr packed = conv_pack(
          {spec.out_c, 1, 1, spec.in_c, 1, spec.weights, spec.bias, fixed, spec.input_zero_point,
           spec.output_zero_point, spec.activation_min, spec.activation_max},
          resources.archs);
      return packed == nullptr ? nullptr : std::make_shared<Weights>(std::move(packed));
    }
    FullyConnectedWeightsPtr packed = fully_connected_pack(spec, resources.archs);
    return packed == nullptr ? nullptr : std::make_shared<Weights>(std::move(packed));
  });
}

Reason plan(const NodeView& view, const Packed& packed, const Resources& resources,
            PlanBuilder* builder) {
  Node node;
  if (Reason reason = read(view, &node)) return reason;
  const ValueId input = builder->input(view.input_index(0));
  if (input < 0) return "a shape that cannot be read";
  const int32_t units = node.filter.dims[0];
  const int64_t depth = node.filter.dims[1];
  const Shape in = builder->shape(input);
  const int64_t elements = in.elements();
  const int64_t rows = elements / depth;
  if (elements % depth != 0) return "an input that does not fit the weights";
  const Shape out = product_shape(view, in, rows, units);
  const ValueId output = builder->output(view.output_index(0), out);
  if (output < 0 || out.elements() != rows * units) {
    return "an output shape that does not follow from the input";
  }
  const auto& weights = static_cast<const Weights&>(*packed).held;
  const auto& sparse = static_cast<const Weights&>(*packed).sparse;
  const auto& conv = static_cast<const Weights&>(*packed).conv;
  const int64_t macs = rows * units * depth;
  const int line = static_cast<int>(rows);
  if (conv != nullptr) {
    const int in_c = static_cast<int>(depth), out_c = static_cast<int>(units);
    builder->add(std::make_unique<ConvStep>(
        conv, input, output,
        ConvGeometry{1, 1, line, in_c, 1, line, out_c, 1, 1, 1, 1, 1, 1, 0, 0, 1},
        Work{macs, product_nanoseconds(macs, resources.archs)}, "FULLY_CONNECTED"));
    return nullptr;
  }
  if (sparse != nullptr) {
    const SparseLayer layer = {rows, static_cast<int>(units), 1, static_cast<int>(depth),
                               sparse_weights_kept(*sparse)};
    builder->add(
        std::make_unique<SparseStep>("FULLY_CONNECTED", sparse, input, output,
                                     SparseGeometry{1, 1, line, 1, line, 1, 1, 1, 1, 1, 1, 0, 0},
                                     Work{macs, sparse_nanoseconds(layer, resources.archs)}));
    return nullptr;
  }
  builder->add(std::make_unique<FullyConnectedStep>(
      weights, input, output, rows, Work{macs, product_nanoseconds(macs, resources.archs)}));
  return nullptr;
}

}  // namespace

extern const Operator k_fully_connected = {
    kTfLiteBuiltinFullyConnected, "FULLY_CONNECTED", 13, refuse, pack, plan,
    &k_wide_fully_connected};

}  // namespace int8x
