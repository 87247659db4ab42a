#include "delegate/ops/macs.h"

namespace int8x {

int64_t node_macs(const NodeView& node) {
  Shape filter, output;
  if (node.inputs() < 2 || !node.has_input(1) || node.outputs() < 1) return 0;
  if (!read_shape(node.input(1), &filter) || !read_shape(node.output(0), &output)) return 0;
  switch (node.builtin()) {
    case kTfLiteBuiltinConv2d:  // filter [out, height, width, in / groups]
      return filter.dims[0] > 0 ? output.elements() * (filter.elements() / filter.dims[0]) : 0;
    case kTfLiteBuiltinDepthwiseConv2d:  // filter [1, height, width, channels]
      return output.elements() * (filter.elements() / filter.back(0));
    case kTfLiteBuiltinTransposeConv: {  // every input pixel meets every tap
      Shape input;
      if (!node.has_input(2) || !read_shape(node.input(2), &input)) return 0;
      return filter.back(0) > 0 ? input.elements() / input.back(0) * filter.elements() : 0;
    }
    case kTfLiteBuiltinBatchMatmul: {
      const auto* options = node.params<TfLiteBatchMatMulParams>();
      return options == nullptr ? 0 : output.elements() * filter.back(options->adj_y ? 0 : 1);
    }
    case kTfLiteBuiltinFullyConnected:  // filter [out, in]
      return output.elements() * filter.back(0);
    default:
      return 0;
  }
}

}  // namespace int8x
