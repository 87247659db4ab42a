#include "delegate/kernels/wide/wide_conv.h"

#include <cmath>
#include <cstring>

#include "delegate/kernels/wide/window.h"

namespace int8x {
namespace {

constexpr int64_t kPixels = kWidePixels;
constexpr int kColumns = 64;  // whose sums are held at a time

int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

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
  if (s.depthwise && int64_t{s.kernel_h} * s.kernel_w > kMostWideTaps) return false;
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
  if (wide_sums_are_narrow(*w)) w->narrow = pack_wide_narrow(*w, archs);
  if (w->narrow.gemm != nullptr || w->narrow.depthwise != nullptr) w->weights = {};
  return w;
}

size_t wide_conv_weights_bytes(const WideConvWeights& w) {
  return (w.weights.size() + w.narrow.weights.size()) * sizeof(int16_t) +
         w.narrow.rounding.size() * sizeof(WideRounding) +
         w.bias.size() * (8 + 8 + sizeof(Multiplier));
}

size_t wide_conv_scratch_bytes(const WideConvParams& p) {
  const WideConvWeights& w = *p.weights;
  if (w.narrow.gemm != nullptr || w.narrow.depthwise != nullptr)
    return wide_narrow_scratch_bytes(p);
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
    const WideConvWeights& w = *p.weights;
    const auto run = w.narrow.gemm != nullptr        ? wide_narrow_dense
                     : w.narrow.depthwise != nullptr ? wide_narrow_depthwise
                     : w.spec.depthwise              ? depthwise
                                                     : dense;
    run(p, input, output, first, count, static_cast<uint8_t*>(scratch));
  }
}

const char* wide_conv_kernel_name(const WideConvParams& p) {
  const WideConvWeights& w = *p.weights;
  if (w.narrow.gemm != nullptr) return w.narrow.gemm->name;
  if (w.narrow.depthwise != nullptr) return w.narrow.depthwise->name;
  return w.spec.depthwise ? "depthwise_s16_s8_s16_reference" : w.kernel->name;
}

}  // namespace int8x
