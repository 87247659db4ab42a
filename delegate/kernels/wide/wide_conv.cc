#include "delegate/kernels/wide/wide_conv.h"

#include <cmath>
#include <cstring>

namespace int8x {
namespace {

// Output pixels of a tile, and the columns whose sums are held at a time.
constexpr int64_t kPixels = 16;
constexpr int kColumns = 64;

int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

int group_in_c(const WideConvSpec& s) { return s.depthwise ? 1 : s.in_c / s.groups; }

// round_half_away(x) as int32; out of range it is INT32_MIN, as on x86.
int32_t round_to_int32(double x) {
  const double rounded = std::round(x);
  if (!(rounded >= -2147483648.0 && rounded < 2147483648.0)) return INT32_MIN;
  return static_cast<int32_t>(rounded);
}

int16_t finish(const WideConvWeights& w, int64_t sum, int o) {
  const size_t c = static_cast<size_t>(o);
  const int64_t acc = sum + w.bias[c];
  const int32_t y = w.spec.in_double ? round_to_int32(static_cast<double>(acc) * w.scales[c])
                                     : multiply_wide_by_quantized_multiplier(acc, w.multipliers[c]);
  return static_cast<int16_t>(clamp(y, w.spec.activation_min, w.spec.activation_max));
}

struct Pixel {
  int64_t batch;
  int y, x;
};
Pixel pixel_at(const WideConvGeometry& g, int64_t index) {
  return {index / g.out_w / g.out_h, static_cast<int>(index / g.out_w % g.out_h),
          static_cast<int>(index % g.out_w)};
}

// The input of tap (ky, kx), or null where it lies outside.
const int16_t* tap(const WideConvParams& p, const int16_t* input, const Pixel& at, int ky, int kx) {
  const WideConvGeometry& g = p.geometry;
  const int iy = at.y * g.stride_h + ky * g.dilation_h - g.pad_top;
  const int ix = at.x * g.stride_w + kx * g.dilation_w - g.pad_left;
  if (iy < 0 || iy >= g.in_h || ix < 0 || ix >= g.in_w) return nullptr;
  return input + ((at.batch * g.in_h + iy) * g.in_w + ix) * p.weights->spec.in_c;
}

// The window of one output as a row of the left side; zero, which is the zero point, outside.
void gather(const WideConvParams& p, const int16_t* input, const Pixel& at, int group,
            int16_t* row) {
  const WideConvSpec& s = p.weights->spec;
  const size_t channels = static_cast<size_t>(group_in_c(s));
  int16_t* to = row;
  for (int ky = 0; ky < s.kernel_h; ++ky) {
    for (int kx = 0; kx < s.kernel_w; ++kx, to += channels) {
      const int16_t* from = tap(p, input, at, ky, kx);
      if (from == nullptr) {
        std::memset(to, 0, channels * sizeof(int16_t));
      } else {
        std::memcpy(to, from + static_cast<size_t>(group) * channels, channels * sizeof(int16_t));
      }
    }
  }
  std::memset(to, 0, static_cast<size_t>(row + p.weights->padded_k - to) * sizeof(int16_t));
}

void dense(const WideConvParams& p, const int16_t* input, int16_t* output, int64_t first, int count,
           uint8_t* scratch) {
  const WideConvWeights& w = *p.weights;
  int64_t* sums = reinterpret_cast<int64_t*>(scratch);
  int16_t* rows = reinterpret_cast<int16_t*>(sums + kPixels * kColumns);
  const int group_out_c = w.spec.out_c / w.spec.groups;
  for (int group = 0; group < w.spec.groups; ++group) {
    for (int i = 0; i < count; ++i) {
      gather(p, input, pixel_at(p.geometry, first + i), group, rows + int64_t{i} * w.padded_k);
    }
    for (int j = 0; j < group_out_c; j += kColumns) {
      const int columns = group_out_c - j < kColumns ? group_out_c - j : kColumns;
      const int o = group * group_out_c + j;
      w.kernel->run({count, columns, w.padded_k, rows,
                     w.weights.data() + static_cast<int64_t>(o) * w.padded_k, sums});
      for (int i = 0; i < count; ++i) {
        int16_t* to = output + (first + i) * w.spec.out_c + o;
        for (int c = 0; c < columns; ++c) to[c] = finish(w, sums[i * columns + c], o + c);
      }
    }
  }
}

void depthwise(const WideConvParams& p, const int16_t* input, int16_t* output, int64_t first,
               int count, uint8_t* scratch) {
  const WideConvWeights& w = *p.weights;
  const int channels = w.spec.out_c, multiplier = channels / w.spec.in_c;
  int32_t* sums = reinterpret_cast<int32_t*>(scratch);
  for (int i = 0; i < count; ++i) {
    const Pixel at = pixel_at(p.geometry, first + i);
    std::memset(sums, 0, static_cast<size_t>(channels) * sizeof(int32_t));
    const int16_t* weights = w.weights.data();
    for (int ky = 0; ky < w.spec.kernel_h; ++ky) {
      for (int kx = 0; kx < w.spec.kernel_w; ++kx, weights += channels) {
        const int16_t* from = tap(p, input, at, ky, kx);
        if (from == nullptr) continue;
        if (multiplier == 1) {
          for (int c = 0; c < channels; ++c) sums[c] += from[c] * weights[c];
        } else {
          for (int c = 0; c < channels; ++c) sums[c] += from[c / multiplier] * weights[c];
        }
      }
    }
    int16_t* to = output + (first + i) * channels;
    for (int c = 0; c < channels; ++c) to[c] = finish(w, sums[c], c);
  }
}

int64_t pixels(const WideConvGeometry& g) { return int64_t{g.batch} * g.out_h * g.out_w; }

}  // namespace

bool wide_conv_valid(const WideConvSpec& s) {
  // A depthwise product is at most 2^22.
  if (s.depthwise && int64_t{s.kernel_h} * s.kernel_w > 511) return false;
  if (int64_t{s.kernel_h} * s.kernel_w * group_in_c(s) > INT32_MAX / 4) return false;
  for (int o = 0; o < s.out_c && !s.in_double; ++o) {
    const Multiplier m = quantize_multiplier(s.scales[o]);
    if (m.shift < -31 || m.shift > 7) return false;
  }
  return true;
}

std::shared_ptr<const WideConvWeights> wide_conv_pack(const WideConvSpec& s, arch::ArchSet archs) {
  auto w = std::make_shared<WideConvWeights>();
  const size_t out_c = static_cast<size_t>(s.out_c);
  const int64_t k = int64_t{s.kernel_h} * s.kernel_w * group_in_c(s);
  w->spec = s;
  w->spec.weights = nullptr;
  w->spec.bias = nullptr;
  w->spec.scales = nullptr;
  w->padded_k = static_cast<int>(round_up(k, kWideStep));
  w->kernel = &wide_dot_kernel(archs);
  if (s.depthwise) {
    w->weights.assign(s.weights, s.weights + k * s.out_c);
  } else {
    w->weights.assign(out_c * static_cast<size_t>(w->padded_k), 0);
    for (int o = 0; o < s.out_c; ++o) {
      for (int64_t i = 0; i < k; ++i) {
        w->weights[static_cast<size_t>(int64_t{o} * w->padded_k + i)] = s.weights[o * k + i];
      }
    }
  }
  w->bias.assign(out_c, 0);
  if (s.bias != nullptr) std::memcpy(w->bias.data(), s.bias, out_c * sizeof(int64_t));
  w->scales.assign(s.scales, s.scales + s.out_c);
  for (double scale : w->scales) w->multipliers.push_back(quantize_multiplier(scale));
  return w;
}

size_t wide_conv_weights_bytes(const WideConvWeights& w) {
  return w.weights.size() * sizeof(int16_t) + w.bias.size() * (8 + 8 + sizeof(Multiplier));
}

size_t wide_conv_scratch_bytes(const WideConvParams& p) {
  const WideConvWeights& w = *p.weights;
  if (w.spec.depthwise) return static_cast<size_t>(w.spec.out_c) * sizeof(int32_t);
  return static_cast<size_t>(kPixels * kColumns * 8 + kPixels * w.padded_k * 2);
}

int64_t wide_conv_tiles(const WideConvParams& p) {
  return (pixels(p.geometry) + kPixels - 1) / kPixels;
}

void wide_conv_run(const WideConvParams& p, const int16_t* input, int16_t* output,
                   int64_t tile_begin, int64_t tile_end, void* scratch) {
  const int64_t all = pixels(p.geometry);
  for (int64_t tile = tile_begin; tile < tile_end; ++tile) {
    const int64_t first = tile * kPixels;
    const int count = static_cast<int>(all - first < kPixels ? all - first : kPixels);
    const auto run = p.weights->spec.depthwise ? depthwise : dense;
    run(p, input, output, first, count, static_cast<uint8_t*>(scratch));
  }
}

const char* wide_conv_kernel_name(const WideConvParams& p) {
  return p.weights->spec.depthwise ? "depthwise_s16_s8_s16_reference" : p.weights->kernel->name;
}

}  // namespace int8x
