#include "delegate/kernels/depthwise/channels.h"

#include <cstring>

namespace int8x::channels {
namespace {

size_t zero_pixel_bytes(const DepthwiseSpec& s) {
  return (static_cast<size_t>(s.in_c) + kBlock + 63) / 64 * 64;
}

}  // namespace

int pairs(const DepthwiseSpec& s) { return (s.kernel_h * s.kernel_w + 1) / 2; }

int blocks(const DepthwiseSpec& s) { return (depthwise_channels(s) + kBlock - 1) / kBlock; }

int8_t weight_at(const DepthwiseSpec& s, int tap, int c) {
  const int channels = depthwise_channels(s);
  if (tap >= s.kernel_h * s.kernel_w || c >= channels) return 0;
  return s.filter[int64_t{tap} * channels + c];
}

Multiplier multiplier_at(const DepthwiseSpec& s, int c) {
  return c < depthwise_channels(s) ? depthwise_multiplier(s, c) : Multiplier{0, 0};
}

int32_t bias_at(const DepthwiseSpec& s, int c) {
  return c < depthwise_channels(s) ? depthwise_folded_bias(s, c, 0) : 0;
}

size_t scratch_bytes(const DepthwiseParams& params) {
  const DepthwiseSpec& s = params.weights->spec;
  return zero_pixel_bytes(s) + static_cast<size_t>(2 * pairs(s)) * sizeof(int8_t*);
}

void fill_zero_pixel(const DepthwiseParams& params, void* scratch) {
  const DepthwiseSpec& s = params.weights->spec;
  std::memset(scratch, s.input_zero_point, zero_pixel_bytes(s));
}

const int8_t* const* pixels_under(const DepthwiseParams& params, const int8_t* image, int y, int x,
                                  void* scratch) {
  const DepthwiseSpec& s = params.weights->spec;
  const DepthwiseGeometry& g = params.geometry;
  const int8_t* zero_pixel = static_cast<const int8_t*>(scratch);
  const int8_t** pixels =
      reinterpret_cast<const int8_t**>(static_cast<char*>(scratch) + zero_pixel_bytes(s));
  const int64_t top = int64_t{y} * s.stride_h - g.pad_top;
  const int64_t left = int64_t{x} * s.stride_w - g.pad_left;
  int at = 0;
  for (int ky = 0; ky < s.kernel_h; ++ky) {
    const int64_t in_y = top + int64_t{ky} * s.dilation_h;
    const bool row_inside = in_y >= 0 && in_y < g.in_h;
    const int8_t* row = image + in_y * g.in_w * s.in_c;
    for (int kx = 0; kx < s.kernel_w; ++kx) {
      const int64_t in_x = left + int64_t{kx} * s.dilation_w;
      pixels[at++] = row_inside && in_x >= 0 && in_x < g.in_w ? row + in_x * s.in_c : zero_pixel;
    }
  }
  if (at % 2 == 1) pixels[at] = zero_pixel;
  return pixels;
}

Source source_of(const DepthwiseSpec& s, int first) {
  Source source;
  source.start = first / s.depth_multiplier;
  for (int i = 0; i < kBlock; ++i) {
    const int c = first + i < depthwise_channels(s) ? first + i : depthwise_channels(s) - 1;
    source.picks[i] = static_cast<uint8_t>(c / s.depth_multiplier - source.start);
  }
  return source;
}

}  // namespace int8x::channels
