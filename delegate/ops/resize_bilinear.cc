#include "delegate/ops/move.h"
#include "delegate/ops/quantized.h"
#include "delegate/ops/resize.h"
#include "delegate/plan/steps.h"

namespace int8x {
namespace {

Reason make_params(const NodeView& node, const Shape& in, arch::ArchSet archs, ResizeParams* out) {
  const auto* options = node.params<TfLiteResizeParams>();
  if (options == nullptr) return "no options";
  int32_t height, width;
  if (Reason reason = read_resized(node, in, &height, &width)) return reason;
  const ResizeGeometry geometry = {in.dims[0],
                                   in.dims[1],
                                   in.dims[2],
                                   in.dims[3],
                                   height,
                                   width,
                                   options->align_corners,
                                   options->half_pixel_centers};
  return make_resize_params(geometry, archs, out) ? nullptr
                                                  : "a size or options that the reference refuses";
}

Reason refuse(const NodeView& node) {
  if (Reason reason = check_counts(node, 2, 2, 1)) return reason;
  Activation input, output;
  if (Reason reason = read_unary(node, &input, &output)) return reason;
  if (Reason reason = check_moved(node.input(0), node.output(0))) return reason;
  Shape in;
  ResizeParams params;
  if (!read_shape(node.input(0), &in)) return "a shape that cannot be read";
  return make_params(node, in, arch::bit(arch::reference), &params);
}

Reason plan(const NodeView& node, const Packed&, const Resources& resources, PlanBuilder* builder) {
  const ValueId input = builder->input(node.input_index(0));
  if (input < 0) return "a shape that cannot be read";
  const Shape in = builder->shape(input);
  ResizeParams params;
  if (Reason reason = make_params(node, in, resources.archs, &params)) return reason;
  const ResizeGeometry& g = params.geometry;
  const Shape out = {4, {g.batch, g.out_h, g.out_w, g.channels}};
  const ValueId output = builder->output(node.output_index(0), out);
  if (output < 0) return "an output shape that does not follow from the input";
  builder->add(std::make_unique<ResizeBilinearStep>("RESIZE_BILINEAR", std::vector<ValueId>{input},
                                                    output, params, Work{0, out.elements() / 2}));
  return nullptr;
}

}  // namespace

extern const Operator k_resize_bilinear = {
    kTfLiteBuiltinResizeBilinear, "RESIZE_BILINEAR", 4, refuse, nullptr, plan};

}  // namespace int8x
