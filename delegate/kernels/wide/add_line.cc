#include <cmath>

#include "delegate/kernels/wide/pointwise.h"

namespace int8x {
namespace {

constexpr int kLow = 15;  // bits of a factor's lower part
constexpr int kLeastShift = 10, kMostShift = 15;

double real(Multiplier m) { return std::ldexp(m.multiplier, m.shift - 31); }

// How far MBQM of an operand may be from the product: half a step of each of its two roundings.
double rounding_error(Multiplier m) { return m.shift < 0 ? 0.5 + std::ldexp(0.5, m.shift) : 0.5; }

int64_t line_at(const WideAddLine& line, int64_t lhs, int64_t rhs) {
  const int64_t low = lhs * line.lhs_low + rhs * line.rhs_low;
  return lhs * line.lhs_high + rhs * line.rhs_high + (low >> kLow) + line.constant;
}

// Doubt in at most one of 256 pairs, of a sample: scales of simple ratios put whole classes of
// pairs on ties.
bool doubt_is_rare(const WideAddLine& line) {
  constexpr int kPairs = 1024;
  uint32_t random = 1;
  int doubtful = 0;
  for (int i = 0; i < kPairs; ++i) {
    random = random * 1664525 + 1013904223;
    const auto lhs = static_cast<int16_t>(random >> 16);
    random = random * 1664525 + 1013904223;
    const auto rhs = static_cast<int16_t>(random >> 16);
    const int64_t mask = (int64_t{1} << line.shift) - 1;
    doubtful += (line_at(line, lhs, rhs) & mask) < line.doubt;
  }
  return doubtful <= kPairs / 256;
}

}  // namespace

WideAddLine wide_add_line_of(const WideBinaryParams& p) {
  WideAddLine line = {};
  // Steps of the output for a step of each operand.
  const double lhs = std::ldexp(real(p.lhs) * real(p.output), 15);
  const double rhs = std::ldexp(real(p.rhs) * real(p.output), 15);
  line.shift = kMostShift;
  // Higher parts fit int16; v then fits int32 with 2^16 - 2 steps to spare for the constant.
  while ((lhs > rhs ? lhs : rhs) * std::ldexp(1.0, line.shift) > 32766.0) --line.shift;
  if (line.shift < kLeastShift) return line;
  const double one = std::ldexp(1.0, line.shift);
  const int64_t lhs_factor = std::llround(std::ldexp(lhs, line.shift + kLow));
  const int64_t rhs_factor = std::llround(std::ldexp(rhs, line.shift + kLow));
  line.lhs_high = static_cast<int16_t>(lhs_factor >> kLow);
  line.rhs_high = static_cast<int16_t>(rhs_factor >> kLow);
  line.lhs_low = static_cast<int16_t>(lhs_factor & ((1 << kLow) - 1));
  line.rhs_low = static_cast<int16_t>(rhs_factor & ((1 << kLow) - 1));
  // Before its last rounding the definition is this far from the line's real value, in steps of v;
  // the line's own factors and the cut after 15 bits add less than 2.
  const double apart = one * ((rounding_error(p.lhs) + rounding_error(p.rhs)) * real(p.output) +
                              std::ldexp(0.5, p.output.shift));
  const auto margin = static_cast<int32_t>(std::ceil(apart)) + 3;
  line.constant = static_cast<int32_t>(one / 2) + margin;
  line.doubt = 2 * margin;
  line.pays = doubt_is_rare(line);
  return line;
}

}  // namespace int8x
