#include "delegate/plan/steps.h"

#include <cstring>

namespace int8x {

namespace {

// Moves a convolution to the input inside the frame. The kernels' own padding is the zero point.
template <typename Geometry>
bool move_inside(const Frame& frame, int32_t zero_point, Geometry* g) {
  if (frame.batch != g->batch || frame.out_h != g->in_h || frame.out_w != g->in_w ||
      frame.fill != zero_point) {
    return false;
  }
  g->in_h = frame.in_h;
  g->in_w = frame.in_w;
  g->pad_top += frame.top;
  g->pad_left += frame.left;
  return true;
}

}  // namespace

std::unique_ptr<Step> ConvStep::without_pad(ValueId input, const Frame& frame) const {
  ConvGeometry inside = geometry;
  if (!move_inside(frame, conv_input_zero_point(*weights), &inside)) return nullptr;
  return std::make_unique<ConvStep>(weights, input, output, inside, work_, op);
}

std::unique_ptr<Step> ConvStep::for_rows(int32_t rows) const {
  if (layout.source != ConvSource::in_place) return nullptr;
  ConvGeometry g = geometry;
  g.batch = 1;
  g.in_h = g.out_h = rows;
  return std::make_unique<ConvStep>(weights, 0, 1, g, work_, op);
}

std::unique_ptr<Step> DepthwiseStep::without_pad(ValueId input, const Frame& frame) const {
  DepthwiseGeometry inside = params.geometry;
  DepthwiseParams moved;
  if (!move_inside(frame, depthwise_input_zero_point(*params.weights), &inside) ||
      !make_depthwise_params(*params.weights, inside, &moved)) {
    return nullptr;
  }
  return std::make_unique<DepthwiseStep>(weights_, op, std::vector<ValueId>{input}, output, moved,
                                         Work{macs(), cost()});
}

void ConvStep::run(void* const* data, int64_t begin, int64_t end, void* scratch) const {
  conv_run(*weights, geometry, layout, static_cast<const int8_t*>(data[inputs[0]]),
           static_cast<int8_t*>(data[output]), begin, end, scratch);
}

void FullyConnectedStep::run(void* const* data, int64_t begin, int64_t end, void* scratch) const {
  fully_connected_run(*weights, cut, static_cast<const int8_t*>(data[inputs[0]]),
                      static_cast<int8_t*>(data[output]), begin, end, scratch);
}

void ConcatenateStep::run(void* const* data, int64_t begin, int64_t end, void* scratch) const {
  const int8_t* pointers[kMaxConcatInputs];
  for (size_t i = 0; i < inputs.size(); ++i) {
    pointers[i] = static_cast<const int8_t*>(data[inputs[i]]);
  }
  concat_run(params, pointers, static_cast<int8_t*>(data[output]), begin, end, scratch);
}

void ViewStep::run(void* const* data, int64_t, int64_t, void*) const {
  std::memcpy(data[output], data[inputs[0]], bytes_);
}

}  // namespace int8x
