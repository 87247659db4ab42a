// QUANTIZE and DEQUANTIZE.

#include "delegate/ops/operator.h"
#include "delegate/ops/quantized.h"
#include "delegate/plan/steps.h"

namespace int8x {
namespace {

// A per-tensor s8 or u8 tensor.
struct Byte {
  LutType type;
  float scale;
  int32_t zero_point;
};

Reason read_byte(const TfLiteTensor& tensor, Byte* out) {
  Quantization q;
  Shape shape;
  if (tensor.type != kTfLiteInt8 && tensor.type != kTfLiteUInt8) {
    return "a tensor that is neither int8 nor uint8";
  }
  if (!read_shape(tensor, &shape)) return "a shape that cannot be read";
  if (!Quantization::read(tensor, &q)) return "a tensor without affine quantization";
  if (q.channels() != 1) return "an activation with per-channel scales";
  out->type = tensor.type == kTfLiteInt8 ? LutType::s8 : LutType::u8;
  out->scale = q.scale();
  out->zero_point = q.zero_point();
  const int32_t lowest = out->type == LutType::s8 ? -128 : 0;
  if (q.zero_point() < lowest || q.zero_point() > lowest + 255) {
    return "a zero point outside its type";
  }
  return nullptr;
}

// The other types: those of kernels/wide/convert.h.
Reason read_rescaled(const TfLiteTensor& tensor, RescaleTensor* out) {
  Quantization q;
  Shape shape;
  if (!element_type(tensor.type, &out->type)) return "a tensor of an unknown type";
  if (!read_shape(tensor, &shape)) return "a shape that cannot be read";
  out->scale = 1;
  out->zero_point = 0;
  if (out->type == ElementType::f32) return nullptr;
  if (!Quantization::read(tensor, &q)) return "a tensor without affine quantization";
  if (q.channels() != 1) return "an activation with per-channel scales";
  out->scale = q.scale();
  out->zero_point = q.zero_point();
  return nullptr;
}

Reason make_rescale(const NodeView& node, int64_t elements, RescaleParams* out) {
  RescaleTensor input, output;
  if (Reason reason = read_rescaled(node.input(0), &input)) return reason;
  if (Reason reason = read_rescaled(node.output(0), &output)) return reason;
  if (output.type == ElementType::f32 && input.type == ElementType::s16 && input.zero_point != 0) {
    return "an int16 tensor with a zero point";
  }
  return make_rescale_params(input, output, elements, out) ? nullptr
                                                           : "types or scales that do not convert";
}

// Whether int16 takes part, or uint8 and float32: the rest has kernels of its own.
bool is_rescale(const NodeView& node) {
  const auto is = [&node](TfLiteType input, TfLiteType output) {
    return node.input(0).type == input && node.output(0).type == output;
  };
  return node.input(0).type == kTfLiteInt16 || node.output(0).type == kTfLiteInt16 ||
         is(kTfLiteFloat32, kTfLiteUInt8) || is(kTfLiteUInt8, kTfLiteFloat32);
}

bool make_table(const Byte& input, const Byte& output, uint8_t* table) {
  return make_requantize_lut({input.scale, output.scale, input.zero_point, output.zero_point},
                             input.type, output.type, table);
}

Reason refuse_quantize(const NodeView& node) {
  if (Reason reason = check_counts(node, 1, 1, 1)) return reason;
  RescaleParams params;
  if (is_rescale(node)) return make_rescale(node, 1, &params);
  if (node.input(0).type == kTfLiteFloat32) {
    Activation output;
    Shape shape;
    if (!read_shape(node.input(0), &shape)) return "a shape that cannot be read";
    return read_activation(node.output(0), &output);
  }
  Byte input, output;
  if (Reason reason = read_byte(node.input(0), &input)) return reason;
  if (Reason reason = read_byte(node.output(0), &output)) return reason;
  uint8_t table[kLutSize];
  return make_table(input, output, table) ? nullptr : "scales that the reference refuses";
}

Reason refuse_dequantize(const NodeView& node) {
  if (Reason reason = check_counts(node, 1, 1, 1)) return reason;
  Shape shape;
  Activation input;
  if (node.output(0).type != kTfLiteFloat32) return "an output that is not float32";
  if (!read_shape(node.output(0), &shape)) return "a shape that cannot be read";
  // Weights that are stored small and used as floats: the runtime unpacks those once.
  if (node.input(0).allocation_type == kTfLiteMmapRo) return "a constant input";
  RescaleParams params;
  if (is_rescale(node)) return make_rescale(node, 1, &params);
  return read_activation(node.input(0), &input);
}

struct Ends {
  ValueId input, output;
  int64_t elements;
};

Reason ends(const NodeView& node, PlanBuilder* builder, Ends* out) {
  out->input = builder->input(node.input_index(0));
  if (out->input < 0) return "a shape that cannot be read";
  out->output = builder->output(node.output_index(0), builder->shape(out->input));
  if (out->output < 0) return "an output of another shape";
  out->elements = builder->shape(out->input).elements();
  return nullptr;
}

Reason plan_rescale(const NodeView& node, const Ends& e, PlanBuilder* builder) {
  RescaleParams params;
  if (Reason reason = make_rescale(node, e.elements, &params)) return reason;
  builder->add(std::make_unique<RescaleStep>(find_operator(node.builtin())->name,
                                             std::vector<ValueId>{e.input}, e.output, params,
                                             Work{0, e.elements * 2}));
  return nullptr;
}

Reason plan_quantize(const NodeView& node, const Packed&, const Resources& resources,
                     PlanBuilder* builder) {
  Ends e;
  if (Reason reason = ends(node, builder, &e)) return reason;
  if (is_rescale(node)) return plan_rescale(node, e, builder);
  const Work work = {0, e.elements / 4};
  std::vector<ValueId> inputs = {e.input};
  if (node.input(0).type == kTfLiteFloat32) {
    Activation output;
    QuantizeParams params;
    if (Reason reason = read_activation(node.output(0), &output)) return reason;
    if (!make_quantize_params(output.scale, output.zero_point, e.elements, resources.archs,
                              &params)) {
      return "a scale that the kernel does not take";
    }
    builder->add(std::make_unique<QuantizeStep>("QUANTIZE", inputs, e.output, params, work));
    return nullptr;
  }
  Byte from, to;
  if (Reason reason = read_byte(node.input(0), &from)) return reason;
  if (Reason reason = read_byte(node.output(0), &to)) return reason;
  uint8_t table[kLutSize];
  LutParams params;
  if (!make_table(from, to, table) ||
      !make_lut_params(table, e.elements, resources.archs, &params)) {
    return "scales that the reference refuses";
  }
  builder->add(std::make_unique<LutStep>("QUANTIZE", inputs, e.output, params, work));
  return nullptr;
}

Reason plan_dequantize(const NodeView& node, const Packed&, const Resources& resources,
                       PlanBuilder* builder) {
  Ends e;
  if (Reason reason = ends(node, builder, &e)) return reason;
  if (is_rescale(node)) return plan_rescale(node, e, builder);
  Activation input;
  DequantizeParams params;
  if (Reason reason = read_activation(node.input(0), &input)) return reason;
  if (!make_dequantize_params(input.scale, input.zero_point, e.elements, resources.archs,
                              &params)) {
    return "a scale that the kernel does not take";
  }
  builder->add(std::make_unique<DequantizeStep>("DEQUANTIZE", std::vector<ValueId>{e.input},
                                                e.output, params, Work{0, e.elements / 4}));
  return nullptr;
}

}  // namespace

extern const Operator k_quantize = {kTfLiteBuiltinQuantize, "QUANTIZE", 2,
                                    refuse_quantize,        nullptr,    plan_quantize};
extern const Operator k_dequantize = {kTfLiteBuiltinDequantize, "DEQUANTIZE", 3,
                                      refuse_dequantize,        nullptr,      plan_dequantize};

}  // namespace int8x
