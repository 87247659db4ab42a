#include "delegate/kernels/wide/softmax.h"

#include <cmath>

namespace int8x {
namespace {

double clamp16(double x) { return x < INT16_MIN ? INT16_MIN : x > INT16_MAX ? INT16_MAX : x; }

// f on [low, high] at kWideTable points, in steps of 2 / 65535 of the output.
void tabulate(double (*f)(double), double low, double high, int16_t* table) {
  constexpr int kIntervals = kWideTable - 1;
  constexpr double kOutputScale = 2.0 / 65535.0;
  const double step = (high - low) / kIntervals, half = step / 2;
  const double inverse = 65536.0 / (kOutputScale * 32767 - kOutputScale * -32768);
  for (int i = 0; i < kIntervals; ++i) {
    const double x = low + i * step;
    const double here = std::round(f(x) * inverse);
    const double middle = std::round((f(low + (i + 1) * step) * inverse + here) / 2);
    const double error = middle - std::round(f(x + half) * inverse);
    table[i] = static_cast<int16_t>(clamp16(here - std::round(error / 2)));
  }
  table[kIntervals] = static_cast<int16_t>(clamp16(std::round(f(high) * inverse)));
}

void split_bytes(WideSoftmaxParams* p) {
  for (int i = 0; i + 1 < kWideTable; ++i) {
    const auto value = static_cast<uint16_t>(p->exponential[i]);
    const auto slope = static_cast<uint16_t>(p->slope[i]);
    const int odd = i % 2, at = i / 2;
    p->bytes.value_low[odd][at] = static_cast<uint8_t>(value);
    p->bytes.value_high[odd][at] = static_cast<uint8_t>(value >> 8);
    p->bytes.slope_low[odd][at] = static_cast<uint8_t>(slope);
    if (at >= 192) p->bytes.slope_high[odd][at - 192] = static_cast<uint8_t>(slope >> 8);
  }
}

constexpr WideSoftmaxKernel kKernels[] = {
#define INT8X_WIDE_SOFTMAX_KERNEL(arch, name) {arch, #name, name},
#include "delegate/kernels/wide/kernels.inc"
};

}  // namespace

WideSoftmaxKernelList wide_softmax_kernels() {
  return {kKernels, sizeof(kKernels) / sizeof(*kKernels)};
}

bool make_wide_softmax_params(float input_scale, float beta, int64_t rows, int64_t depth,
                              arch::ArchSet archs, WideSoftmaxParams* out) {
  const float product = input_scale * beta;
  if (rows <= 0 || depth <= 0 || depth >= (1 << 16)) return false;
  if (!std::isfinite(product) || !(product > 0)) return false;
  out->multiplier = quantize_multiplier(static_cast<double>(product) / (10.0 / 65535.0));
  if (out->multiplier.shift > 30) return false;
  out->rows = rows;
  out->depth = depth;
  out->kernel = kKernels;
  archs |= arch::bit(arch::reference);
  while (!arch::has(archs, out->kernel->arch)) ++out->kernel;
  constexpr double kScale = 10.0 / 65535.0;
  tabulate([](double x) { return std::exp(x); }, kScale * (-32768 - 32767),
           kScale * (32767 - 32767), out->exponential);
  for (int i = 0; i + 1 < kWideTable; ++i) {
    out->slope[i] = static_cast<int16_t>(out->exponential[i + 1] - out->exponential[i]);
  }
  split_bytes(out);
  constexpr double kUnit = 1.0 / 65535.0;
  tabulate([](double x) { return 1.0 / (1.0 + x); }, kUnit * (-32768 + 32768),
           kUnit * (32767 + 32768), out->reciprocal);
  return true;
}

void wide_softmax_run(const WideSoftmaxParams& p, const int16_t* input, int16_t* output,
                      int64_t tile_begin, int64_t tile_end, void*) {
  for (int64_t row = tile_begin; row < tile_end; ++row) {
    p.kernel->run(p, input + row * p.depth, output + row * p.depth);
  }
}

}  // namespace int8x
