// PAD and PADV2: the input within a frame of one value.

#include <cstring>

#include "delegate/ops/move.h"
#include "delegate/ops/quantized.h"
#include "delegate/plan/steps.h"

namespace int8x {
namespace {

// PADV2's third input, which has the type and the quantization of the others.
Reason read_value(const NodeView& node, int32_t* byte) {
  const TfLiteTensor& value = node.input(2);
  const void* data = constant_data(value);
  Shape shape;
  if (data == nullptr || !read_shape(value, &shape) || shape.elements() != 1) {
    return "a value to pad with that is not one constant";
  }
  if (Reason reason = check_moved(value, node.output(0))) return reason;
  uint8_t bytes[2] = {};
  std::memcpy(bytes, data, static_cast<size_t>(moved_bytes(value)));
  if (moved_bytes(value) == 2 && bytes[0] != bytes[1]) return "a value of two different bytes";
  *byte = bytes[0];
  return nullptr;
}

// The byte that fills the frame.
Reason read_fill(const NodeView& node, int32_t* byte) {
  if (node.builtin() == kTfLiteBuiltinPadv2) return read_value(node, byte);
  const TfLiteTensor& output = node.output(0);
  Quantization q;
  if (!Quantization::read(output, &q)) return "a tensor without affine quantization";
  if (q.channels() != 1) return "an activation with per-channel scales";
  const int32_t lowest = output.type == kTfLiteInt8 ? -128 : 0;
  const int32_t highest = output.type == kTfLiteInt16 ? 0 : lowest + 255;
  if (q.zero_point() < lowest || q.zero_point() > highest) return "a zero point outside its type";
  *byte = q.zero_point();
  return nullptr;
}

Reason make_params(const NodeView& node, const Shape& in, Shape* padded, PadParams* out,
                   Frame* frame) {
  std::vector<int32_t> padding, dims(in.dims, in.dims + in.rank);
  int32_t fill;
  if (Reason reason = read_fill(node, &fill)) return reason;
  if (!constant_integers(node.input(1), &padding)) return "paddings that are not constant";
  if (padding.size() != static_cast<size_t>(2 * in.rank)) {
    return "paddings that are not [rank, 2]";
  }
  *padded = in;
  int64_t elements = 1;
  for (int i = 0; i < in.rank; ++i) {
    const int64_t before = padding[static_cast<size_t>(2 * i)];
    const int64_t after = padding[static_cast<size_t>(2 * i + 1)];
    elements *= in.dims[i] + before + after;
    if (before < 0 || after < 0 || elements > Shape::kMaxElements) return "paddings out of range";
    padded->dims[i] += static_cast<int32_t>(before + after);
  }
  const int bytes = moved_bytes(node.input(0));
  *frame = {};
  if (in.rank == 4 && bytes == 1 && padded->dims[0] == in.dims[0] &&
      padded->dims[3] == in.dims[3]) {
    *frame = {in.dims[0],      in.dims[1], in.dims[2], padded->dims[1],
              padded->dims[2], padding[2], padding[4], static_cast<int8_t>(fill)};
  }
  if (bytes > 1) {
    dims.push_back(bytes);
    padding.insert(padding.end(), 2, 0);
  }
  return make_pad_params(dims.data(), padding.data(), static_cast<int>(dims.size()), fill, out)
             ? nullptr
             : "paddings or a rank that the kernel does not take";
}

template <int kInputs>
Reason refuse(const NodeView& node) {
  if (Reason reason = check_counts(node, kInputs, kInputs, 1)) return reason;
  if (Reason reason = check_moved(node.input(0), node.output(0))) return reason;
  Shape in, padded;
  PadParams params;
  Frame frame;
  if (!read_shape(node.input(0), &in)) return "a shape that cannot be read";
  return make_params(node, in, &padded, &params, &frame);
}

Reason plan(const NodeView& node, const Packed&, const Resources&, PlanBuilder* builder) {
  const ValueId input = builder->input(node.input_index(0));
  if (input < 0) return "a shape that cannot be read";
  Shape padded;
  PadParams params;
  Frame frame;
  if (Reason reason = make_params(node, builder->shape(input), &padded, &params, &frame))
    return reason;
  const ValueId output = builder->output(node.output_index(0), padded);
  if (output < 0) return "an output shape that does not follow from the input";
  builder->add(std::make_unique<PadStep>(find_operator(node.builtin())->name,
                                         std::vector<ValueId>{input}, output, params, frame,
                                         Work{0, padded.elements() / 16}));
  return nullptr;
}

}  // namespace

extern const Operator k_pad = {kTfLiteBuiltinPad, "PAD", 2, refuse<2>, nullptr, plan};
extern const Operator k_padv2 = {kTfLiteBuiltinPadv2, "PADV2", 2, refuse<3>, nullptr, plan};

}  // namespace int8x
