#include <cstring>

#include "delegate/kernels/depthwise/leaf.h"

namespace int8x {
namespace {

// Packed: the channels' multipliers, their biases, the filter as it came.
const Multiplier* multipliers(const void* packed) { return static_cast<const Multiplier*>(packed); }

const int32_t* biases(const void* packed, int32_t channels) {
  return reinterpret_cast<const int32_t*>(multipliers(packed) + channels);
}

const int8_t* filter(const void* packed, int32_t channels) {
  return reinterpret_cast<const int8_t*>(biases(packed, channels) + channels);
}

int32_t accumulate(const DepthwiseParams& params, const int8_t* image, int32_t y, int32_t x,
                   int32_t c) {
  const DepthwiseSpec& s = params.weights->spec;
  const DepthwiseGeometry& g = params.geometry;
  const int32_t channels = params.weights->channels;
  const int8_t* weights = filter(params.weights->packed, channels);
  int32_t acc = biases(params.weights->packed, channels)[c];
  for (int32_t ky = 0; ky < s.kernel_h; ++ky) {
    const int64_t in_y = int64_t{y} * s.stride_h + int64_t{ky} * s.dilation_h - g.pad_top;
    if (in_y < 0 || in_y >= g.in_h) continue;
    for (int32_t kx = 0; kx < s.kernel_w; ++kx) {
      const int64_t in_x = int64_t{x} * s.stride_w + int64_t{kx} * s.dilation_w - g.pad_left;
      if (in_x < 0 || in_x >= g.in_w) continue;
      const int32_t tap = image[(in_y * g.in_w + in_x) * s.in_c + c / s.depth_multiplier];
      const int32_t weight = weights[(int64_t{ky} * s.kernel_w + kx) * channels + c];
      acc = wrapping_add(acc, (tap - s.input_zero_point) * weight);
    }
  }
  return acc;
}

}  // namespace

bool depthwise_s8_s8_reference_fits(const DepthwiseSpec&) { return true; }

size_t depthwise_s8_s8_reference_packed_bytes(const DepthwiseSpec& s) {
  const size_t taps = static_cast<size_t>(s.kernel_h) * static_cast<size_t>(s.kernel_w);
  return static_cast<size_t>(depthwise_channels(s)) *
         (sizeof(Multiplier) + sizeof(int32_t) + taps * sizeof(int8_t));
}

void depthwise_s8_s8_reference_pack(const DepthwiseSpec& s, void* packed) {
  const int32_t channels = depthwise_channels(s);
  Multiplier* multiplier = static_cast<Multiplier*>(packed);
  int32_t* bias = reinterpret_cast<int32_t*>(multiplier + channels);
  for (int32_t c = 0; c < channels; ++c) {
    multiplier[c] = depthwise_multiplier(s, c);
    bias[c] = s.bias == nullptr ? 0 : s.bias[c];
  }
  std::memcpy(bias + channels, s.filter,
              static_cast<size_t>(s.kernel_h) * static_cast<size_t>(s.kernel_w) *
                  static_cast<size_t>(channels));
}

size_t depthwise_s8_s8_reference_scratch_bytes(const DepthwiseParams&) { return 0; }

void depthwise_s8_s8_reference(const DepthwiseParams& params, const int8_t* input, int8_t* output,
                               const DepthwiseTile& tile, void*) {
  const DepthwiseSpec& s = params.weights->spec;
  const DepthwiseGeometry& g = params.geometry;
  const int32_t channels = params.weights->channels;
  const Multiplier* multiplier = multipliers(params.weights->packed);
  const int8_t* image = input + int64_t{tile.batch} * g.in_h * g.in_w * s.in_c;
  for (int32_t y = tile.row_begin; y < tile.row_end; ++y) {
    for (int32_t x = 0; x < g.out_w; ++x) {
      int8_t* to = output + ((int64_t{tile.batch} * g.out_h + y) * g.out_w + x) * channels;
      for (int32_t c = tile.channel_begin; c < tile.channel_end; ++c) {
        const int32_t acc = accumulate(params, image, y, x, c);
        const int32_t scaled =
            wrapping_add(multiply_by_quantized_multiplier(acc, multiplier[c]), s.output_zero_point);
        to[c] = static_cast<int8_t>(clamp(scaled, s.activation_min, s.activation_max));
      }
    }
  }
}

}  // namespace int8x
