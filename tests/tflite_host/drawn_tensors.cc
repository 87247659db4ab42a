#include "tests/tflite_host/drawn_net.h"

namespace int8x::host {

int DrawnNet::tensor(const Dims& dims) {
  const float scale =
      std::ldexp(1.0f + static_cast<float>(bytes_.upto(127)) / 128.0f, -bytes_.between(1, 9));
  const int zero = type_ == kTfLiteInt16 ? 0 : static_cast<int8_t>(bytes_.next());
  return add({type_, dims, {scale}, {type_ == kTfLiteUInt8 ? zero + 128 : zero}, 0, {}});
}

int DrawnNet::tensor_like(int like, const Dims& dims) {
  TensorSpec spec = specs_[static_cast<size_t>(like)];
  spec.dims = dims;
  spec.constant.clear();
  return add(spec);
}

int DrawnNet::ints(const std::vector<int32_t>& values, Dims dims) {
  if (dims.empty()) dims = {static_cast<int>(values.size())};
  return add({kTfLiteInt32, dims, {}, {}, 0, bytes_of(values)});
}

int DrawnNet::weights(const Dims& dims, int axis) {
  const int channels = bytes_.chance(128) ? dims[static_cast<size_t>(axis)] : 1;
  std::vector<float> scales;
  for (int c = 0; c < channels; ++c) {
    scales.push_back(std::ldexp(1.0f + static_cast<float>(c % 7) / 8.0f, -bytes_.between(3, 8)));
  }
  std::vector<uint8_t> values(static_cast<size_t>(elements(dims)));
  uint32_t seed = bytes_.next();
  for (uint8_t& v : values) {
    seed = seed * 1664525u + 1013904223u;
    v = static_cast<uint8_t>(seed >> 24 == 128 ? 0 : seed >> 24);
  }
  return add({kTfLiteInt8, dims, scales, {}, axis, values});
}

int DrawnNet::bias(int input, int weights, int channels) {
  const TensorSpec w = specs_[static_cast<size_t>(weights)];
  std::vector<float> scales;
  for (float s : w.scales) scales.push_back(s * specs_[static_cast<size_t>(input)].scales[0]);
  if (type_ != kTfLiteInt16) {
    std::vector<int32_t> values;
    for (int c = 0; c < channels; ++c) values.push_back((c * 7919 % 4001) - 2000);
    return add({kTfLiteInt32, {channels}, scales, {}, 0, bytes_of(values)});
  }
  std::vector<int64_t> values;
  for (int c = 0; c < channels; ++c) values.push_back((c * 7919 % 4001) - 2000);
  return add({kTfLiteInt64, {channels}, scales, {}, 0, bytes_of(values)});
}

}  // namespace int8x::host
