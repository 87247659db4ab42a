#include <climits>
#include <limits>

#include "tests/tflite_host/drawn_net.h"

namespace int8x::host {
namespace {

size_t width(TfLiteType type) {
  if (type == kTfLiteInt8 || type == kTfLiteUInt8 || type == kTfLiteBool) return 1;
  return type == kTfLiteInt16 ? 2 : type == kTfLiteInt64 ? 8 : 4;
}

}  // namespace

// What a damaged file holds: sizes, types, scales, constants, tensors and parameters that do not
// fit.
void DrawnNet::spoil() {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (int faults = bytes_.chance(100) ? bytes_.between(1, 3) : 0; faults > 0; --faults) {
    TensorSpec& spec =
        specs_[static_cast<size_t>(bytes_.upto(static_cast<int>(specs_.size()) - 1))];
    Node& node = nodes_[static_cast<size_t>(bytes_.upto(static_cast<int>(nodes_.size()) - 1))];
    switch (bytes_.upto(7)) {
      case 0:
        if (!spec.dims.empty()) {
          spec.dims[static_cast<size_t>(bytes_.upto(static_cast<int>(spec.dims.size()) - 1))] =
              bytes_.pick({0, 1, 2, 5, 100, -1, 65536, INT_MAX, INT_MIN});
        }
        break;
      case 1:
        spec.dims.resize(static_cast<size_t>(bytes_.upto(6)), 2);
        break;
      case 2:
        if (!spec.scales.empty()) {
          spec.scales[static_cast<size_t>(bytes_.upto(static_cast<int>(spec.scales.size()) - 1))] =
              bytes_.pick({0.0f, -1.0f, kInfinity, std::nanf(""), 1e-30f, 1e30f, 1e-45f});
        }
        break;
      case 3:
        spec.zero_points.assign(spec.scales.size(), bytes_.pick({0, 127, 128, -129, INT_MIN}));
        spec.axis = bytes_.pick({0, 1, 3, 7, -1, INT_MIN});
        break;
      case 4:
        spec.type = bytes_.pick(
            {kTfLiteInt8, kTfLiteUInt8, kTfLiteInt16, kTfLiteInt32, kTfLiteInt64, kTfLiteFloat32});
        break;
      case 5:
        for (uint8_t& v : spec.constant) v = bytes_.chance(80) ? bytes_.next() : v;
        break;
      case 6: {
        const int reach = static_cast<int>(specs_.size());
        std::vector<int>& list = bytes_.chance(200) ? node.inputs : node.outputs;
        const bool is_input = &list == &node.inputs;
        list[static_cast<size_t>(bytes_.upto(static_cast<int>(list.size()) - 1))] =
            bytes_.upto(reach) - (is_input ? 1 : 0);
        if (list.back() >= reach) list.back() = reach - 1;
        for (int& t : list) t = std::min(t, reach - 1);
        break;
      }
      default:
        node.params[static_cast<size_t>(bytes_.upto(static_cast<int>(node.params.size()) - 1))] =
            bytes_.pick<uint8_t>({0, 1, 2, 0x7f, 0x80, 0xff});
        break;
    }
    // The runtime has checked that a constant is as long as its type and sizes say.
    if (!spec.constant.empty()) {
      const int64_t n = elements(spec.dims);
      if (n > kMostElements) spec.dims = {1};
      spec.constant.resize(static_cast<size_t>(elements(spec.dims)) * width(spec.type));
      if (spec.constant.empty()) spec.constant.resize(1);
    }
  }
}

}  // namespace int8x::host
