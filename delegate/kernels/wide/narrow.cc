#include "delegate/kernels/wide/narrow.h"

#include <cstdlib>
#include <cstring>

#include "delegate/kernels/wide/window.h"

namespace int8x {
namespace {

constexpr WideGemmKernel kGemm[] = {
#define INT8X_WIDE_GEMM_KERNEL(arch, name) {arch, #name, name},
#include "delegate/kernels/wide/kernels.inc"
    {arch::reference, nullptr, nullptr}};

constexpr WideDepthwiseKernel kDepthwise[] = {
#define INT8X_WIDE_DEPTHWISE_KERNEL(arch, name, block) {arch, #name, block, name},
#include "delegate/kernels/wide/kernels.inc"
    {arch::reference, nullptr, 0, nullptr}};

template <typename Kernel>
const Kernel* best(const Kernel* kernel, arch::ArchSet archs) {
  while (kernel->run != nullptr && !arch::has(archs, kernel->arch)) ++kernel;
  return kernel->run != nullptr ? kernel : nullptr;
}

// Weight i of output channel o, of those that wide_conv_pack() has laid out.
int16_t weight(const WideConvWeights& w, int o, int64_t i) {
  const int64_t at = w.spec.depthwise ? i * w.spec.out_c + o : int64_t{o} * w.padded_k + i;
  return w.weights[static_cast<size_t>(at)];
}

int64_t weights_of_channel(const WideConvSpec& s) {
  return int64_t{s.kernel_h} * s.kernel_w * group_in_c(s);
}

void set_rounding(const WideConvWeights& w, int o, int slot, WideRounding* r) {
  const Multiplier m = w.multipliers[static_cast<size_t>(o)];
  const int right = 15 - m.shift;
  const int64_t nudge = (int64_t{1} << (right - 1)) + (int64_t{1} << 62);
  r->bias[slot] = static_cast<int32_t>(w.bias[static_cast<size_t>(o)]);
  r->half[slot] = m.multiplier < 0x7fff0000 ? (m.multiplier + (1 << 15)) >> 16 : 0x7fff;
  r->right[slot] = right;
  int64_t* nudges = slot % 2 == 0 ? r->nudge_even : r->nudge_odd;
  nudges[slot / 2] = nudge;
  r->offset[slot] = static_cast<int32_t>(static_cast<uint32_t>(int64_t{1} << (62 - right)));
}

void pack_gemm(const WideConvWeights& w, WideNarrow* out) {
  const WideConvSpec& s = w.spec;
  const int64_t k = weights_of_channel(s);
  const int columns = s.out_c / s.groups, panels = (columns + kWidePanel - 1) / kWidePanel;
  out->pairs = static_cast<int>((k + 1) / 2);
  out->weights.assign(static_cast<size_t>(s.groups) * panels * out->pairs * 2 * kWidePanel, 0);
  out->rounding.resize(static_cast<size_t>(s.groups) * panels);
  for (int o = 0; o < s.out_c; ++o) {
    const int64_t panel = int64_t{o / columns} * panels + o % columns / kWidePanel;
    const int slot = o % columns % kWidePanel;
    int16_t* to = out->weights.data() + panel * out->pairs * 2 * kWidePanel;
    for (int64_t i = 0; i < k; ++i) to[(i / 2 * kWidePanel + slot) * 2 + i % 2] = weight(w, o, i);
    set_rounding(w, o, slot, &out->rounding[static_cast<size_t>(panel)]);
  }
}

void pack_depthwise(const WideConvWeights& w, WideNarrow* out) {
  const int channels = w.spec.out_c, block = out->depthwise->block;
  const int taps = w.spec.kernel_h * w.spec.kernel_w;
  const int blocks = (channels + block - 1) / block, last = channels - block;
  out->pairs = (taps + 1) / 2;
  out->weights.assign(static_cast<size_t>(blocks) * out->pairs * 2 * block, 0);
  out->rounding.resize(static_cast<size_t>(blocks) * block / kWidePanel);
  for (int b = 0; b < blocks; ++b) {
    const int first = b * block < last || last < 0 ? b * block : last;
    int16_t* to = out->weights.data() + int64_t{b} * out->pairs * 2 * block;
    for (int slot = 0; slot < block; ++slot) {
      const int c = first + depthwise_channel(block, slot);
      if (c >= channels) continue;
      for (int t = 0; t < taps; ++t) to[(t / 2 * block + slot) * 2 + t % 2] = weight(w, c, t);
      const int at = b * block + slot;
      set_rounding(w, c, at % kWidePanel, &out->rounding[static_cast<size_t>(at / kWidePanel)]);
    }
  }
}

// Whether the pixels of the input are the rows of the left side as they lie.
bool reads_pixels(const WideConvParams& p) {
  const WideConvSpec& s = p.weights->spec;
  const WideConvGeometry& g = p.geometry;
  return s.kernel_h == 1 && s.kernel_w == 1 && g.stride_h == 1 && g.stride_w == 1 &&
         g.pad_top == 0 && g.pad_left == 0 && g.in_h == g.out_h && g.in_w == g.out_w &&
         group_in_c(s) % 2 == 0;
}

}  // namespace

const WideGemmKernel* wide_gemm_kernel(arch::ArchSet archs) { return best(kGemm, archs); }
const WideDepthwiseKernel* wide_depthwise_kernel(arch::ArchSet archs) {
  return best(kDepthwise, archs);
}

bool wide_sums_are_narrow(const WideConvWeights& w) {
  if (w.spec.in_double) return false;
  const int64_t k = weights_of_channel(w.spec);
  for (int o = 0; o < w.spec.out_c; ++o) {
    int64_t sum = 0;
    for (int64_t i = 0; i < k; ++i) sum += std::abs(weight(w, o, i));
    const int64_t bias = w.bias[static_cast<size_t>(o)];
    if (bias <= INT32_MIN || bias > INT32_MAX) return false;
    if (32768 * sum + std::abs(bias) > INT32_MAX) return false;
  }
  return true;
}

WideNarrow pack_wide_narrow(const WideConvWeights& w, arch::ArchSet archs) {
  WideNarrow narrow;
  if (w.spec.depthwise) {
    narrow.depthwise = wide_depthwise_kernel(archs);
    if (narrow.depthwise != nullptr) pack_depthwise(w, &narrow);
  } else {
    narrow.gemm = wide_gemm_kernel(archs);
    if (narrow.gemm != nullptr) pack_gemm(w, &narrow);
  }
  return narrow;
}

size_t wide_narrow_scratch_bytes(const WideConvParams& p) {
  const WideConvWeights& w = *p.weights;
  if (!w.spec.depthwise) {
    return reads_pixels(p) ? 0 : static_cast<size_t>(kWidePixels) * w.padded_k * sizeof(int16_t);
  }
  // A row of zeros, and one for each tap where channels are repeated.
  const size_t rows = w.spec.out_c == w.spec.in_c ? 1 : 1 + 2 * static_cast<size_t>(w.narrow.pairs);
  return rows * static_cast<size_t>(w.spec.out_c) * sizeof(int16_t);
}

void wide_narrow_dense(const WideConvParams& p, const int16_t* input, int16_t* output,
                       int64_t first, int count, uint8_t* scratch) {
  const WideConvWeights& w = *p.weights;
  const WideConvSpec& s = w.spec;
  const int columns = s.out_c / s.groups, panels = (columns + kWidePanel - 1) / kWidePanel;
  WideGemm g = {};
  g.m = count;
  g.n = columns;
  g.pairs = w.narrow.pairs;
  g.min = s.activation_min;
  g.max = s.activation_max;
  g.output_stride = s.out_c;
  const bool direct = reads_pixels(p);
  int16_t* rows = reinterpret_cast<int16_t*>(scratch);
  for (int group = 0; group < s.groups; ++group) {
    if (direct) {
      g.lhs = input + first * s.in_c + int64_t{group} * group_in_c(s);
      g.lhs_stride = s.in_c;
    } else {
      for (int i = 0; i < count; ++i)
        gather(p, input, pixel_at(p.geometry, first + i), group, rows + int64_t{i} * w.padded_k);
      g.lhs = rows;
      g.lhs_stride = w.padded_k;
    }
    g.rhs = w.narrow.weights.data() + int64_t{group} * panels * g.pairs * 2 * kWidePanel;
    g.rounding = w.narrow.rounding.data() + int64_t{group} * panels;
    g.output = output + first * s.out_c + int64_t{group} * columns;
    w.narrow.gemm->run(g);
  }
}

void wide_narrow_depthwise(const WideConvParams& p, const int16_t* input, int16_t* output,
                           int64_t first, int count, uint8_t* scratch) {
  const WideConvWeights& w = *p.weights;
  const WideConvSpec& s = w.spec;
  const int channels = s.out_c, multiplier = channels / s.in_c;
  int16_t* zeros = reinterpret_cast<int16_t*>(scratch);
  std::memset(zeros, 0, static_cast<size_t>(channels) * sizeof(int16_t));
  const int16_t* rows[kMostWideTaps + 1];
  for (int i = 0; i < count; ++i) {
    const Pixel at = pixel_at(p.geometry, first + i);
    int taps = 0;
    for (int ky = 0; ky < s.kernel_h; ++ky) {
      for (int kx = 0; kx < s.kernel_w; ++kx, ++taps) {
        const int16_t* from = tap(p, input, at, ky, kx);
        if (from != nullptr && multiplier > 1) {
          int16_t* repeated = zeros + int64_t{taps + 1} * channels;
          for (int c = 0; c < s.in_c; ++c) {
            for (int m = 0; m < multiplier; ++m) repeated[c * multiplier + m] = from[c];
          }
          from = repeated;
        }
        rows[taps] = from != nullptr ? from : zeros;
      }
    }
    if (taps % 2 == 1) rows[taps++] = zeros;
    w.narrow.depthwise->run({taps, channels, rows, w.narrow.weights.data(),
                             w.narrow.rounding.data(), s.activation_min, s.activation_max,
                             output + (first + i) * channels});
  }
}

}  // namespace int8x
