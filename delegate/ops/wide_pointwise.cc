// int16 ADD, MUL, LOGISTIC, TANH, SOFTMAX, AVERAGE_POOL_2D and MAX_POOL_2D.

#include <algorithm>
#include <cmath>

#include "delegate/ops/wide.h"
#include "delegate/plan/steps.h"

namespace int8x {
namespace {

bool power_of_two(float scale) {
  int exponent;
  return std::frexp(scale, &exponent) == 0.5f;
}

Reason make_binary(const NodeView& node, const Shape& lhs, const Shape& rhs, arch::ArchSet archs,
                   WideBinaryParams* out) {
  float left, right, output;
  if (Reason reason = read_wide_activation(node.input(0), &left)) return reason;
  if (Reason reason = read_wide_activation(node.input(1), &right)) return reason;
  if (Reason reason = read_wide_activation(node.output(0), &output)) return reason;
  const bool multiply = node.builtin() == kTfLiteBuiltinMul;
  const auto* params = node.params<TfLiteAddParams>();
  const int activation = params == nullptr ? kTfLiteActNone : params->activation;
  // With this option and such scales the reference shifts instead of multiplying.
  if (!multiply && (params == nullptr || params->pot_scale_int16) && power_of_two(left) &&
      power_of_two(right) && power_of_two(output)) {
    return "scales that are all powers of two";
  }
  ActivationRange range;
  if (!wide_activation_range(activation, output, &range)) {
    return "a fused activation that does not fit the output's scale";
  }
  return make_wide_binary_params(multiply, left, right, output, range.min, range.max, lhs.dims,
                                 lhs.rank, rhs.dims, rhs.rank, archs, out)
             ? nullptr
             : "scales that the reference refuses, or shapes that do not broadcast";
}

Reason refuse_binary(const NodeView& node) {
  if (Reason reason = check_counts(node, 2, 2, 1)) return reason;
  Shape lhs, rhs;
  WideBinaryParams params;
  if (!read_shape(node.input(0), &lhs) || !read_shape(node.input(1), &rhs)) {
    return "a shape that cannot be read";
  }
  return make_binary(node, lhs, rhs, arch::bit(arch::reference), &params);
}

Reason plan_binary(const NodeView& node, const Packed&, const Resources& resources,
                   PlanBuilder* builder) {
  const ValueId lhs = builder->input(node.input_index(0));
  const ValueId rhs = builder->input(node.input_index(1));
  if (lhs < 0 || rhs < 0) return "a shape that cannot be read";
  WideBinaryParams params;
  if (Reason reason =
          make_binary(node, builder->shape(lhs), builder->shape(rhs), resources.archs, &params)) {
    return reason;
  }
  Shape out;
  out.rank = params.out_rank;
  std::copy_n(params.out_dims, out.rank, out.dims);
  const ValueId output = builder->output(node.output_index(0), out);
  if (output < 0) return "an output shape that does not follow from the inputs";
  builder->add(std::make_unique<WideBinaryStep>(find_operator(node.builtin())->name,
                                                std::vector<ValueId>{lhs, rhs}, output, params,
                                                Work{0, out.elements() * 4}));
  return nullptr;
}

// The input and the output of a node whose output has the input's shape.
Reason same_shape(const NodeView& node, PlanBuilder* builder, ValueId* input, ValueId* output) {
  *input = builder->input(node.input_index(0));
  if (*input < 0) return "a shape that cannot be read";
  *output = builder->output(node.output_index(0), builder->shape(*input));
  return *output < 0 ? "an output of another shape" : nullptr;
}

Reason read_fixed_output(const NodeView& node, float* input) {
  float output;
  if (Reason reason = read_wide_activation(node.input(0), input)) return reason;
  if (Reason reason = read_wide_activation(node.output(0), &output)) return reason;
  return output == 1.0f / 32768 ? nullptr : "an output whose scale is not 1/32768";
}

Reason refuse_sigmoid(const NodeView& node) {
  if (Reason reason = check_counts(node, 1, 1, 1)) return reason;
  float input;
  if (Reason reason = read_fixed_output(node, &input)) return reason;
  WideSigmoidParams params;
  return make_wide_sigmoid_params(false, input, 1, 0, &params) ? nullptr : "a scale out of range";
}

Reason plan_sigmoid(const NodeView& node, const Packed&, const Resources& resources,
                    PlanBuilder* builder) {
  ValueId input, output;
  if (Reason reason = same_shape(node, builder, &input, &output)) return reason;
  float scale;
  if (Reason reason = read_fixed_output(node, &scale)) return reason;
  const int64_t elements = builder->shape(input).elements();
  WideSigmoidParams params;
  if (!make_wide_sigmoid_params(node.builtin() == kTfLiteBuiltinTanh, scale, elements,
                                resources.archs, &params)) {
    return "a scale out of range";
  }
  builder->add(std::make_unique<WideSigmoidStep>(find_operator(node.builtin())->name,
                                                 std::vector<ValueId>{input}, output, params,
                                                 Work{0, elements * 2}));
  return nullptr;
}

Reason make_softmax(const NodeView& node, const Shape& shape, arch::ArchSet archs,
                    WideSoftmaxParams* out) {
  float input;
  if (Reason reason = read_fixed_output(node, &input)) return reason;
  const auto* params = node.params<TfLiteSoftmaxParams>();
  if (params == nullptr) return "no options";
  if (shape.rank < 1) return "a scalar";
  const int64_t depth = shape.back(0);
  return make_wide_softmax_params(input, params->beta, shape.elements() / depth, depth, archs, out)
             ? nullptr
             : "rows, beta or a scale that the kernel does not take";
}

Reason refuse_softmax(const NodeView& node) {
  if (Reason reason = check_counts(node, 1, 1, 1)) return reason;
  Shape shape;
  WideSoftmaxParams params;
  if (!read_shape(node.input(0), &shape)) return "a shape that cannot be read";
  return make_softmax(node, shape, 0, &params);
}

Reason plan_softmax(const NodeView& node, const Packed&, const Resources& resources,
                    PlanBuilder* builder) {
  ValueId input, output;
  if (Reason reason = same_shape(node, builder, &input, &output)) return reason;
  const Shape shape = builder->shape(input);
  WideSoftmaxParams params;
  if (Reason reason = make_softmax(node, shape, resources.archs, &params)) return reason;
  builder->add(std::make_unique<WideSoftmaxStep>("SOFTMAX", std::vector<ValueId>{input}, output,
                                                 params, Work{0, shape.elements() * 6}));
  return nullptr;
}

// The output's height and width follow from the input's.
Reason make_pool(const NodeView& node, const Shape& in, arch::ArchSet archs, WidePoolParams* out) {
  float input, output;
  if (Reason reason = read_wide_activation(node.input(0), &input)) return reason;
  if (Reason reason = read_wide_activation(node.output(0), &output)) return reason;
  if (input != output) return "input and output of different quantization";
  const auto* p = node.params<TfLitePoolParams>();
  if (p == nullptr) return "no options";
  ActivationRange range;
  if (!wide_activation_range(p->activation, output, &range)) {
    return "a fused activation that does not fit the output's scale";
  }
  if (!is_nhwc(in)) return "an input that is not [batch, height, width, channels]";
  Window h, w;
  if (!slide(p->padding, in.dims[1], p->filter_height, p->stride_height, 1, &h) ||
      !slide(p->padding, in.dims[2], p->filter_width, p->stride_width, 1, &w)) {
    return "a window, stride or padding out of range";
  }
  *out = {wide_pool_kernel(node.builtin() == kTfLiteBuiltinAveragePool2d, archs),
          in.dims[0],
          in.dims[1],
          in.dims[2],
          in.dims[3],
          h.output,
          w.output,
          p->filter_height,
          p->filter_width,
          p->stride_height,
          p->stride_width,
          h.before,
          w.before,
          range.min,
          range.max};
  return valid_wide_pool(*out) ? nullptr : "a pooling window that the kernel does not take";
}

Reason refuse_pool(const NodeView& node) {
  if (Reason reason = check_counts(node, 1, 1, 1)) return reason;
  Shape in;
  WidePoolParams params;
  if (!read_shape(node.input(0), &in)) return "a shape that cannot be read";
  return make_pool(node, in, 0, &params);
}

Reason plan_pool(const NodeView& node, const Packed&, const Resources& resources,
                 PlanBuilder* builder) {
  const ValueId input = builder->input(node.input_index(0));
  if (input < 0) return "a shape that cannot be read";
  WidePoolParams params;
  if (Reason reason = make_pool(node, builder->shape(input), resources.archs, &params))
    return reason;
  const Shape out = {4, {params.batch, params.out_h, params.out_w, params.channels}};
  const ValueId output = builder->output(node.output_index(0), out);
  if (output < 0) return "an output shape that does not follow from the input";
  builder->add(std::make_unique<WidePoolStep>(
      find_operator(node.builtin())->name, std::vector<ValueId>{input}, output, params,
      Work{0, out.elements() * params.kernel_h * params.kernel_w}));
  return nullptr;
}

}  // namespace

Reason read_wide_activation(const TfLiteTensor& tensor, float* scale) {
  Quantization q;
  Shape shape;
  if (tensor.type != kTfLiteInt16) return "a tensor that is not int16";
  if (!read_shape(tensor, &shape)) return "a tensor whose shape cannot be read";
  if (!Quantization::read(tensor, &q)) return "a tensor without affine quantization";
  if (q.channels() != 1) return "an activation with per-channel scales";
  if (q.zero_point() != 0) return "an int16 tensor with a zero point";
  *scale = q.scale();
  return nullptr;
}

bool wide_activation_range(int activation, float scale, ActivationRange* out) {
  return activation_range(activation, {scale, 0}, INT16_MIN, INT16_MAX, out);
}

extern const Operator k_wide_add = {kTfLiteBuiltinAdd, "ADD",   5,
                                    refuse_binary,     nullptr, plan_binary};
extern const Operator k_wide_mul = {kTfLiteBuiltinMul, "MUL",   7,
                                    refuse_binary,     nullptr, plan_binary};
extern const Operator k_wide_logistic = {kTfLiteBuiltinLogistic, "LOGISTIC", 3,
                                         refuse_sigmoid,         nullptr,    plan_sigmoid};
extern const Operator k_wide_tanh = {kTfLiteBuiltinTanh, "TANH",  3,
                                     refuse_sigmoid,     nullptr, plan_sigmoid};
extern const Operator k_wide_softmax = {kTfLiteBuiltinSoftmax, "SOFTMAX", 3,
                                        refuse_softmax,        nullptr,   plan_softmax};
extern const Operator k_wide_average_pool_2d = {
    kTfLiteBuiltinAveragePool2d, "AVERAGE_POOL_2D", 3, refuse_pool, nullptr, plan_pool};
extern const Operator k_wide_max_pool_2d = {
    kTfLiteBuiltinMaxPool2d, "MAX_POOL_2D", 3, refuse_pool, nullptr, plan_pool};

}  // namespace int8x
