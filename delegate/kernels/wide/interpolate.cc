// LOGISTIC and TANH of int16. The input, brought to the grid of 2^-12 times three, walks through a
// table of sigmoid(i / 24) in Q0.16 with linear interpolation; the entries carry half the error
// that the interpolation has in the middle of its interval.

#include <cmath>

#include "delegate/kernels/wide/pointwise.h"

namespace int8x {
namespace {

constexpr int64_t kTile = 8192;

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

void fill(uint16_t* table) {
  constexpr double kOne = 65536.0;
  for (int i = 0; i < 255; ++i) {
    const double here = sigmoid(i / 24.0), next = sigmoid((i + 1) / 24.0);
    const double middle = sigmoid((i + 0.5) / 24.0);
    const double error = kOne * (here + next) / 2 - kOne * middle;
    table[i] = static_cast<uint16_t>(std::floor(kOne * here - error / 2 + 0.5));
  }
  table[255] = 65535;
}

// Whether scale is 2^*log2, to the reference's tolerance.
bool power_of_two(float scale, int* log2) {
  const float log = std::log(scale) * (1.0f / std::log(2.0f));
  const float rounded = std::round(log);
  *log2 = static_cast<int>(rounded);
  return std::fabs(log - rounded) < 1e-3f;
}

int16_t look_up(const WideSigmoidParams& p, int32_t q) {
  const int64_t nudge = p.shift > 0 ? int64_t{1} << (p.shift - 1) : 0;
  const int64_t x = (int64_t{q} * p.multiplier + nudge) >> p.shift;
  const int64_t magnitude = x < 0 ? -x : x;
  const int bits = p.tanh ? 8 : 9;  // of the fraction
  const int64_t index = magnitude >> bits;
  int64_t r;
  if (index >= 255) {
    r = p.tanh ? int64_t{0xffff} << 8 : int64_t{0x7fff} << 10;
  } else {
    const int64_t low = p.table[index], high = p.table[index + 1];
    r = (low << bits) + (magnitude & ((1 << bits) - 1)) * (high - low);
  }
  if (p.tanh) {
    constexpr int64_t kHalf = 1 << 23;  // of Q0.24: tanh is twice the sigmoid less one
    return static_cast<int16_t>((x >= 0 ? r - kHalf + 128 : -r + kHalf + 127) >> 8);
  }
  return static_cast<int16_t>((x >= 0 ? r + 512 : (int64_t{1} << 25) - r + 511) >> 10);
}

}  // namespace

bool make_wide_sigmoid_params(bool tanh, float input_scale, int64_t count, WideSigmoidParams* out) {
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
  fill(p.table);
  *out = p;
  return true;
}

int64_t wide_sigmoid_tiles(const WideSigmoidParams& p) { return (p.count + kTile - 1) / kTile; }

void wide_sigmoid_run(const WideSigmoidParams& p, const int16_t* input, int16_t* output,
                      int64_t tile_begin, int64_t tile_end, void*) {
  const int64_t end = tile_end * kTile < p.count ? tile_end * kTile : p.count;
  for (int64_t i = tile_begin * kTile; i < end; ++i) output[i] = look_up(p, input[i]);
}

}  // namespace int8x
