#include <cmath>

#include "delegate/kernels/elementwise/add.h"

namespace int8x {
namespace {

double real(Multiplier m) { return std::ldexp(m.multiplier, m.shift - 31); }

// Sums are cut into a high part in units of 2^kLow and a low one.
constexpr int kLow = 15, kByte = 8;
// Where an operand's step is below two of the output's, outputs are below 2^10 before they are cut
// to int8, and 31 bits hold them with this many more.
constexpr int kMostShift = 21, kLeastShift = 16;

// The least sum that gives at least y, by bisection: the output grows with the sum.
int32_t least_sum(const AddParams& p, int32_t y) {
  int64_t below = INT32_MIN, at = INT32_MAX;
  while (at - below > 1) {
    const int64_t middle = (below + at) / 2;
    const int32_t given = multiply_by_quantized_multiplier(static_cast<int32_t>(middle), p.output);
    if (given >= y - p.output_zero_point) {
      at = middle;
    } else {
      below = middle;
    }
  }
  return static_cast<int32_t>(at);
}

// Of two operands, how the sum of a pair comes about: by definition, and as a line.
struct Operands {
  int32_t lhs[256], rhs[256];  // terms of the sum, by q + 128; rhs with its sign
  int64_t lhs_factor, rhs_factor;
};

int32_t high_of(int64_t factor) { return static_cast<int32_t>(factor >> kLow); }
int32_t low_of(int64_t factor) { return static_cast<int32_t>(factor & ((1 << kLow) - 1)); }

// What a constant may be so that every pair's output comes out right, and the smallest and greatest
// sum before it is added.
struct Bounds {
  int64_t from = INT32_MIN, to = INT32_MAX, smallest = INT32_MAX, greatest = INT32_MIN;
};

Bounds bounds_of(const AddParams& p, const Operands& o, const int32_t* least, int shift) {
  const int64_t one = int64_t{1} << shift;
  const int32_t lhs_high = high_of(o.lhs_factor), rhs_high = high_of(o.rhs_factor);
  const int32_t lhs_low = low_of(o.lhs_factor), rhs_low = low_of(o.rhs_factor);
  Bounds bounds;
  for (int a = -128; a < 128; ++a) {
    const auto line = [&](int b) {
      const int64_t high = (int64_t{a} * lhs_high + int64_t{b} * rhs_high) * (1 << kByte);
      const int64_t low = (int64_t{a} * lhs_low + int64_t{b} * rhs_low) * (1 << kByte);
      return high + (low >> kLow);
    };
    const int step = p.subtract ? -1 : 1, begin = p.subtract ? 127 : -128, end = -1 - begin;
    // Sums and the line grow with every step: the ends of a stretch with the same output bind.
    const int64_t smallest = line(begin), greatest = line(end);
    if (smallest < bounds.smallest) bounds.smallest = smallest;
    if (greatest > bounds.greatest) bounds.greatest = greatest;
    int32_t y = p.activation_min;
    for (int b = begin;; b += step) {
      const int32_t sum = o.lhs[a + 128] + o.rhs[b + 128];
      if (y < p.activation_max && sum >= least[y + 1 + 128]) {
        if (b != begin) {
          const int64_t last = (y + 1) * one - 1 - line(b - step);
          if (last < bounds.to) bounds.to = last;
        }
        while (y < p.activation_max && sum >= least[y + 1 + 128]) ++y;
        const int64_t first = y * one - line(b);
        if (first > bounds.from) bounds.from = first;
      }
      if (b == end) break;
    }
    const int64_t last = (y + 1) * one - 1 - greatest;
    if (y < p.activation_max && last < bounds.to) bounds.to = last;
  }
  return bounds;
}

}  // namespace

AddLine add_line_of(const AddParams& p) {
  AddLine line = {};
  const double scale = real(p.output) * (1 << 20);  // of q in the output, times the operand's
  line.shift = kMostShift;
  for (double steps = scale; steps >= 4; steps /= 2) --line.shift;
  if (line.shift < kLeastShift) return line;
  Operands o;
  for (int i = 0; i < 256; ++i) {
    const int32_t lhs = (i - 128 - p.lhs_zero_point) * (1 << 20);
    const int32_t rhs = (i - 128 - p.rhs_zero_point) * (1 << 20);
    o.lhs[i] = multiply_by_quantized_multiplier(lhs, p.lhs);
    o.rhs[i] = multiply_by_quantized_multiplier(rhs, p.rhs) * (p.subtract ? -1 : 1);
  }
  const double unit = std::ldexp(scale, line.shift + kLow - kByte);
  o.lhs_factor = std::llround(real(p.lhs) * unit);
  o.rhs_factor = std::llround(real(p.rhs) * unit) * (p.subtract ? -1 : 1);
  int32_t least[256];
  for (int y = p.activation_min; y <= p.activation_max; ++y) least[y + 128] = least_sum(p, y);

  const Bounds bounds = bounds_of(p, o, least, line.shift);
  const int64_t constant = bounds.from + (bounds.to - bounds.from) / 2;
  line.exact = bounds.from <= bounds.to && bounds.smallest + constant >= INT32_MIN &&
               bounds.greatest + constant <= INT32_MAX;
  line.constant = static_cast<int32_t>(constant);
  line.lhs_high = static_cast<int16_t>(high_of(o.lhs_factor));
  line.lhs_low = static_cast<int16_t>(low_of(o.lhs_factor));
  line.rhs_high = static_cast<int16_t>(high_of(o.rhs_factor));
  line.rhs_low = static_cast<int16_t>(low_of(o.rhs_factor));
  return line;
}

}  // namespace int8x
