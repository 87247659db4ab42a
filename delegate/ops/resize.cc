#include "delegate/ops/resize.h"

#include <vector>

#include "delegate/ops/quantized.h"

namespace int8x {
namespace {

constexpr int32_t kLongestSide = 1 << 20;

}  // namespace

Reason read_resized(const NodeView& node, const Shape& in, int32_t* height, int32_t* width) {
  std::vector<int32_t> size;
  if (!constant_integers(node.input(1), &size)) return "a size that is not constant";
  if (size.size() != 2 || size[0] < 1 || size[1] < 1) return "a size that is not [height, width]";
  if (size[0] > kLongestSide || size[1] > kLongestSide) return "a size out of range";
  if (!is_nhwc(in)) return "an input that is not [batch, height, width, channels]";
  *height = size[0];
  *width = size[1];
  return nullptr;
}

}  // namespace int8x
