#include "tests/tflite_host/small_nets.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "delegate/fixed_point/requantize.h"

namespace int8x::host {
namespace {

constexpr int kChannels = 16;
// Powers of two: each of the net's roundings can then be written in a line.
constexpr float kInputScale = 0.125f, kWeightScale = 0.0625f, kConvScale = 0.25f,
                kReluScale = 0.25f;
constexpr float kSumScale = 0.5f;
constexpr int kInputZero = -3, kConvZero = 5, kReluZero = -128, kSumZero = 1;

std::vector<int8_t> weights() { return noise(kChannels * 3 * 3 * kChannels, 77); }

std::vector<int32_t> bias() {
  std::vector<int32_t> values(kChannels);
  for (int c = 0; c < kChannels; ++c) values[static_cast<size_t>(c)] = 37 * c - 200;
  return values;
}

int8_t narrow(int32_t q) { return static_cast<int8_t>(std::min(127, std::max(-128, q))); }

std::vector<int8_t> conv(const std::vector<int8_t>& input, int height, int width) {
  const std::vector<int8_t> w = weights();
  const std::vector<int32_t> b = bias();
  const Multiplier m = quantize_multiplier(double{kInputScale} * kWeightScale / kConvScale);
  std::vector<int8_t> output(input.size());
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int o = 0; o < kChannels; ++o) {
        int32_t sum = b[static_cast<size_t>(o)];
        for (int tap = 0; tap < 9; ++tap) {
          const int iy = y + tap / 3 - 1, ix = x + tap % 3 - 1;
          if (iy < 0 || iy >= height || ix < 0 || ix >= width) continue;
          for (int c = 0; c < kChannels; ++c) {
            sum += (input[static_cast<size_t>((iy * width + ix) * kChannels + c)] - kInputZero) *
                   w[static_cast<size_t>((o * 9 + tap) * kChannels + c)];
          }
        }
        output[static_cast<size_t>((y * width + x) * kChannels + o)] =
            narrow(multiply_by_quantized_multiplier(sum, m) + kConvZero);
      }
    }
  }
  return output;
}

// Same scale in and out: RELU6 is a clamp and a shift of the zero point.
int8_t relu6(int8_t q) {
  return narrow(std::min(kReluZero + static_cast<int>(std::round(6.0f / kReluScale)),
                         std::max(kReluZero, q - kConvZero + kReluZero)));
}

int8_t add(int8_t relu, int8_t input) {
  // Exact in doubles; ties go away from zero in the last of the reference's roundings.
  const double real =
      (relu - kReluZero) * double{kReluScale} + (input - kInputZero) * double{kInputScale};
  return narrow(static_cast<int32_t>(std::round(real / kSumScale)) + kSumZero);
}

}  // namespace

std::vector<int8_t> noise(int size, uint32_t seed) {
  std::mt19937 rng(seed);
  std::vector<int8_t> values(static_cast<size_t>(size));
  for (int8_t& v : values) v = static_cast<int8_t>(rng());
  return values;
}

SmallNet conv_relu_add(Host* host, int height, int width, const SmallNet* same) {
  const std::vector<int> dims = {1, height, width, kChannels};
  SmallNet net;
  net.channels = kChannels;
  net.packed_bytes_at_least = kChannels * 9 * kChannels;
  net.input = host->add_tensor({kTfLiteInt8, dims, {kInputScale}, {kInputZero}, 0, {}});
  const int w = host->add_tensor(
      {kTfLiteInt8, {kChannels, 3, 3, kChannels}, {kWeightScale}, {0}, 0, bytes_of(weights())});
  const int b = host->add_tensor(
      {kTfLiteInt32, {kChannels}, {kInputScale * kWeightScale}, {0}, 0, bytes_of(bias())});
  if (same != nullptr) {
    host->tensor(w).data = const_cast<uint8_t*>(same->weights);
    host->tensor(b).data = const_cast<uint8_t*>(same->bias);
  }
  net.weights = static_cast<const uint8_t*>(host->tensor(w).data);
  net.bias = static_cast<const uint8_t*>(host->tensor(b).data);
  const int c = host->add_tensor({kTfLiteInt8, dims, {kConvScale}, {kConvZero}, 0, {}});
  const int r = host->add_tensor({kTfLiteInt8, dims, {kReluScale}, {kReluZero}, 0, {}});
  net.output = host->add_tensor({kTfLiteInt8, dims, {kSumScale}, {kSumZero}, 0, {}});
  net.inside = {c, r};
  const TfLiteConvParams conv_params = {kTfLitePaddingSame, 1, 1, kTfLiteActNone, 1, 1};
  host->add_node(kTfLiteBuiltinConv2d, 3, {net.input, w, b}, {c}, conv_params);
  host->add_node(kTfLiteBuiltinRelu6, 2, {c}, {r});
  host->add_node(kTfLiteBuiltinAdd, 2, {r, net.input}, {net.output},
                 TfLiteAddParams{kTfLiteActNone, false});
  host->set_outputs({net.output});
  net.expected = [](const std::vector<int8_t>& input, int rows, int columns) {
    std::vector<int8_t> output = conv(input, rows, columns);
    for (size_t i = 0; i < output.size(); ++i) output[i] = add(relu6(output[i]), input[i]);
    return output;
  };
  const std::vector<int> tensors = {net.input, c, r, net.output};
  net.resize = [tensors](Host* h, int rows, int columns) {
    for (int t : tensors) h->resize(t, {1, rows, columns, kChannels});
  };
  return net;
}

SmallNet relu_custom_relu(Host* host, int size) {
  SmallNet net;
  net.channels = 1;
  net.packed_bytes_at_least = 0;
  net.weights = net.bias = nullptr;
  std::vector<int> tensors;
  for (int i = 0; i < 4; ++i) {
    tensors.push_back(host->add_tensor({kTfLiteInt8, {1, size}, {0.5f}, {0}, 0, {}}));
  }
  net.input = tensors[0];
  net.output = tensors[3];
  const int from = tensors[1], to = tensors[2];
  host->add_node(kTfLiteBuiltinRelu, 2, {tensors[0]}, {from});
  host->add_node(kTfLiteBuiltinCustom, 1, {from}, {to}, int{0}, [from, to](Host& h) {
    std::vector<int8_t> values = h.get(from);
    for (int8_t& v : values) v = static_cast<int8_t>(20 - v);
    h.set(to, values);
  });
  host->add_node(kTfLiteBuiltinRelu, 2, {to}, {net.output});
  host->set_outputs({net.output});
  net.expected = [](const std::vector<int8_t>& input, int, int) {
    std::vector<int8_t> output = input;
    for (int8_t& v : output) {
      v = std::max<int8_t>(0, static_cast<int8_t>(20 - std::max<int8_t>(0, v)));
    }
    return output;
  };
  return net;
}

}  // namespace int8x::host
