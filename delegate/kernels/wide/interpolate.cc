// LOGISTIC and TANH of int16. The input, brought to the grid of 2^-12 times three, walks through a
// table of sigmoid(i / 24) in Q0.16 with linear interpolation; the entries carry half the error
// that the interpolation has in the middle of its interval.

#include <cmath>

#include "delegate/kernels/wide/pointwise.h"

namespace int8x {
namespace {

constexpr int64_t kTile = 8192;

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

constexpr WideSigmoidKernel kKernels[] = {
#define INT8X_WIDE_SIGMOID_KERNEL(arch, name) {arch, #name, name},
#include "delegate/kernels/wide/kernels.inc"
};

void fill(bool tanh, uint32_t* entries) {
  constexpr double kOne = 65536.0;
  uint16_t table[256];
  for (int i = 0; i < 255; ++i) {
    const double here = sigmoid(i / 24.0), next = sigmoid((i + 1) / 24.0);
    const double middle = sigmoid((i + 0.5) / 24.0);
    const double error = kOne * (here + next) / 2 - kOne * middle;
    table[i] = static_cast<uint16_t>(std::floor(kOne * here - error / 2 + 0.5));
  }
  table[255] = 65535;
  for (int i = 0; i < 255; ++i) {
    const uint16_t step = static_cast<uint16_t>(table[i + 1] - table[i]);
    entries[i] = static_cast<uint32_t>(table[i]) << 16 | step;
  }
  // Beyond the table the value is a constant: in Q0.24 of TANH 65535 << 8, in Q0.25 32767 << 10.
  entries[255] = (tanh ? 65535u : 65534u) << 16;
}

void split_bytes(WideSigmoidParams* p) {
  for (int i = 0; i < 256; ++i) {
    const uint32_t value = p->table[i] >> 16, step = p->table[i] & 0xffff;
    p->bytes.value_low[i] = static_cast<uint8_t>(value);
    p->bytes.value_high[i] = static_cast<uint8_t>(value >> 8 ^ (p->tanh ? 0x80 : 0));
    p->bytes.step_low[i] = static_cast<uint8_t>(step);
    if (i < 64) p->bytes.step_high[i] = static_cast<uint8_t>(step >> 8);
  }
}

// Whether scale is 2^*log2, to the reference's tolerance.
bool power_of_two(float scale, int* log2) {
  const float log = std::log(scale) * (1.0f / std::log(2.0f));
  const float rounded = std::round(log);
  *log2 = static_cast<int>(rounded);
  return std::fabs(log - rounded) < 1e-3f;
}

}  // namespace

WideSigmoidKernelList wide_sigmoid_kernels() {
  return {kKernels, sizeof(kKernels) / sizeof(*kKernels)};
}

bool make_wide_sigmoid_params(bool tanh, float input_scale, int64_t count, arch::ArchSet archs,
                              WideSigmoidParams* out) {
  if (count <= 0 || !std::isfinite(input_scale) || !(input_scale > 0)) return false;
  WideSigmoidParams p = {};
  p.tanh = tanh;
  p.count = count;
  int log2;
  const bool power = power_of_two(input_scale, &log2);
  const int left = log2 + 12;  // to the grid of 2^-12
  if (power && (left == 0 || (tanh && left == 1))) {
    p.multiplier = 3 << left;
  } else {
    double multiplier = static_cast<double>(input_scale) * 4096.0 * 3.0;
    while (multiplier <= 32767.0 / 2.0 && p.shift <= 30) {
      ++p.shift;
      multiplier *= 2.0;
    }
    if (!(multiplier < 2147483648.0)) return false;
    p.multiplier = static_cast<int32_t>(multiplier);
  }
  fill(tanh, p.table);
  split_bytes(&p);
  if (p.multiplier > kMostSigmoidMultiplier) archs = 0;
  p.kernel = kKernels;
  archs |= arch::bit(arch::reference);
  while (!arch::has(archs, p.kernel->arch)) ++p.kernel;
  *out = p;
  return true;
}

int64_t wide_sigmoid_tiles(const WideSigmoidParams& p) { return (p.count + kTile - 1) / kTile; }

void wide_sigmoid_run(const WideSigmoidParams& p, const int16_t* input, int16_t* output,
                      int64_t tile_begin, int64_t tile_end, void*) {
  const int64_t end = tile_end * kTile < p.count ? tile_end * kTile : p.count;
  const int64_t begin = tile_begin * kTile;
  if (begin < end) p.kernel->run(p, input + begin, output + begin, end - begin);
}

}  // namespace int8x
