#include "delegate/ops/quantized.h"

#include <cmath>

namespace int8x {
namespace {

constexpr int32_t kMaxWindow = 1 << 15;

bool quantize_bound(float bound, const Activation& output, int32_t* out) {
  const float steps = std::round(bound / output.scale);
  if (!(std::fabs(steps) < 2147483648.0f)) return false;
  const int64_t q = output.zero_point + static_cast<int64_t>(steps);
  if (q < INT32_MIN || q > INT32_MAX) return false;
  *out = static_cast<int32_t>(q);
  return true;
}

// Two to a byte; nullptr when they are not constant or their size is wrong.
const uint8_t* packed_int4(const TfLiteTensor& tensor) {
  Shape shape;
  if (tensor.allocation_type != kTfLiteMmapRo || tensor.data == nullptr) return nullptr;
  if (tensor.sparsity != nullptr || !read_shape(tensor, &shape)) return nullptr;
  if (tensor.bytes != static_cast<size_t>((shape.elements() + 1) / 2)) return nullptr;
  return static_cast<const uint8_t*>(tensor.data);
}

}  // namespace

Reason read_activation(const TfLiteTensor& tensor, Activation* out) {
  Shape shape;
  Quantization quantization;
  if (tensor.type != kTfLiteInt8) return "a tensor that is not int8";
  if (!read_shape(tensor, &shape)) return "a tensor whose shape cannot be read";
  if (!Quantization::read(tensor, &quantization)) return "a tensor without affine quantization";
  if (quantization.channels() != 1) return "an activation with per-channel scales";
  if (quantization.zero_point() < -128 || quantization.zero_point() > 127) {
    return "a zero point outside [-128, 127]";
  }
  *out = {quantization.scale(), quantization.zero_point()};
  return nullptr;
}

bool activation_range(int activation, const Activation& output, ActivationRange* out) {
  return activation_range(activation, output, -128, 127, out);
}

bool activation_range(int activation, const Activation& output, int32_t lowest, int32_t highest,
                      ActivationRange* out) {
  int32_t min = lowest, max = highest, bound;
  const auto raise = [&](float v) {
    if (!quantize_bound(v, output, &bound)) return false;
    if (bound > min) min = bound;
    return true;
  };
  const auto lower = [&](float v) {
    if (!quantize_bound(v, output, &bound)) return false;
    if (bound < max) max = bound;
    return true;
  };
  switch (activation) {
    case kTfLiteActNone:
      break;
    case kTfLiteActRelu:
      if (!raise(0)) return false;
      break;
    case kTfLiteActRelu6:
      if (!raise(0) || !lower(6)) return false;
      break;
    case kTfLiteActReluN1To1:
      if (!raise(-1) || !lower(1)) return false;
      break;
    default:
      return false;
  }
  if (min > max) return false;
  *out = {min, max};
  return true;
}

Reason check_counts(const NodeView& node, int min_inputs, int max_inputs, int outputs) {
  if (node.inputs() < min_inputs || node.inputs() > max_inputs || node.outputs() != outputs) {
    return "an unexpected number of inputs or outputs";
  }
  for (int i = 0; i < min_inputs; ++i) {
    if (!node.has_input(i)) return "a missing input";
  }
  return nullptr;
}

Reason read_unary(const NodeView& node, Activation* input, Activation* output) {
  if (Reason reason = read_activation(node.input(0), input)) return reason;
  return read_activation(node.output(0), output);
}

Reason read_weights(const TfLiteTensor& tensor, int rank, int channel_axis, Quantization* out) {
  Shape shape;
  if (tensor.type != kTfLiteInt8 && tensor.type != kTfLiteInt4) {
    return "weights that are neither int8 nor INT4";
  }
  if (tensor.type == kTfLiteInt8 ? constant_data(tensor) == nullptr
                                 : packed_int4(tensor) == nullptr)
    return "weights that are not constant or whose size is wrong";
  if (!read_shape(tensor, &shape) || shape.rank != rank) return "weights of an unexpected rank";
  if (!Quantization::read(tensor, out)) return "weights without affine quantization";
  if (out->channels() != 1 && out->axis() != channel_axis) {
    return "weights with scales along an unexpected axis";
  }
  return nullptr;
}

const int8_t* weight_values(const TfLiteTensor& tensor, std::vector<int8_t>* unpacked) {
  if (tensor.type == kTfLiteInt8) return static_cast<const int8_t*>(constant_data(tensor));
  const uint8_t* bytes = packed_int4(tensor);
  Shape shape;
  read_shape(tensor, &shape);
  unpacked->resize(static_cast<size_t>(shape.elements()));
  for (size_t i = 0; i < unpacked->size(); ++i) {
    const int nibble = bytes[i / 2] >> (i % 2 * 4) & 15;  // the lower half comes first
    (*unpacked)[i] = static_cast<int8_t>(nibble < 8 ? nibble : nibble - 16);
  }
  return unpacked->data();
}

Reason read_bias(const NodeView& node, int index, int channels, const int32_t** out) {
  *out = nullptr;
  if (!node.has_input(index)) return nullptr;
  const TfLiteTensor& bias = node.input(index);
  Shape shape;
  if (bias.type != kTfLiteInt32) return "a bias that is not int32";
  if (!read_shape(bias, &shape) || shape.elements() != channels) return "a bias of another length";
  *out = static_cast<const int32_t*>(constant_data(bias));
  if (*out == nullptr) return "a bias that is not constant";
  if (reinterpret_cast<uintptr_t>(*out) % alignof(int32_t) != 0)
    return "a bias that is not aligned";
  return nullptr;
}

bool effective_scales(float input, const Quantization& weights, float output,
                      std::vector<double>* out) {
  out->resize(static_cast<size_t>(weights.channels()));
  for (int c = 0; c < weights.channels(); ++c) {
    const double scale =
        static_cast<double>(input) * static_cast<double>(weights.scale(c)) / output;
    if (!(scale < 2147483648.0)) return false;
    (*out)[static_cast<size_t>(c)] = scale;
  }
  return true;
}

Shape product_shape(const NodeView& node, const Shape& in, int64_t rows, int32_t units) {
  if (!node.params<TfLiteFullyConnectedParams>()->keep_num_dims) {
    return {2, {static_cast<int32_t>(rows), units}};
  }
  Shape out = in;
  out.dims[out.rank - 1] = units;
  return out;
}

bool slide(int padding, int32_t input, int32_t window, int32_t stride, int32_t dilation,
           Window* out) {
  if (input < 1 || window < 1 || window > kMaxWindow || stride < 1 || stride > kMaxWindow ||
      dilation < 1 || dilation > kMaxWindow) {
    return false;
  }
  const int64_t reach = int64_t{window - 1} * dilation + 1;
  int64_t output;
  if (padding == kTfLitePaddingSame) {
    output = (int64_t{input} + stride - 1) / stride;
  } else if (padding == kTfLitePaddingValid) {
    output = input < reach ? 0 : (input - reach) / stride + 1;
  } else {
    return false;
  }
  const int64_t missing = (output - 1) * stride + reach - input;
  if (missing > INT32_MAX) return false;
  *out = {static_cast<int32_t>(output),
          output > 0 && missing > 0 ? static_cast<int32_t>(missing / 2) : 0};
  return true;
}

}  // namespace int8x
