// The one rounding: int32 accumulators to a coarser integer grid, exactly as TFLite's reference
// kernels do it (double rounding). Vector versions stand beside this file and are tested against
// it.

#ifndef INT8X_FIXED_POINT_REQUANTIZE_H_
#define INT8X_FIXED_POINT_REQUANTIZE_H_

#include <cstdint>

namespace int8x {

// real multiplier ~= multiplier * 2^(shift - 31). shift > 0 shifts left, before the product.
// multiplier is 0 or lies in [2^30, 2^31); shift lies in [-31, 30].
struct Multiplier {
  int32_t multiplier;
  int32_t shift;
};

// QM(d) of docs/numerics.md: d = f * 2^e with f in [0.5, 1), multiplier = round_half_away(f *
// 2^31). d must be finite and >= 0. Returns {0, 0} for d == 0 and for d < 2^-32 or so (shift <
// -31).
Multiplier quantize_multiplier(double d);

// floor((a * b + 2^30) / 2^31): the high half of 2ab, ties toward +infinity.
// Only a == b == INT32_MIN saturates; a multiplier is never negative, so callers cannot reach it.
inline int32_t saturating_rounding_doubling_high_mul(int32_t a, int32_t b) {
  if (a == INT32_MIN && b == INT32_MIN) return INT32_MAX;
  return static_cast<int32_t>((static_cast<int64_t>(a) * b + (int64_t{1} << 30)) >> 31);
}

// x / 2^exponent, ties away from zero; exponent in [0, 31].
inline int32_t rounding_divide_by_pot(int32_t x, int exponent) {
  if (exponent == 0) return x;
  const int64_t nudge = (int64_t{1} << (exponent - 1)) + (x >> 31);
  return static_cast<int32_t>((int64_t{x} + nudge) >> exponent);
}

// MBQM(x, m) of docs/numerics.md. The left shift wraps in 32 bits, as the reference's does.
inline int32_t multiply_by_quantized_multiplier(int32_t x, Multiplier m) {
  const int left = m.shift > 0 ? m.shift : 0;
  const int right = m.shift > 0 ? 0 : -m.shift;
  const int32_t shifted = static_cast<int32_t>(static_cast<uint32_t>(x) << left);
  return rounding_divide_by_pot(saturating_rounding_doubling_high_mul(shifted, m.multiplier),
                                right);
}

// MBQM64(x, m): 64-bit sums by the upper 16 bits of the multiplier and one rounding, ties up, as
// the reference scales what int16 activations add up to. m.shift in [-31, 7]; the result wraps.
inline int32_t multiply_wide_by_quantized_multiplier(int64_t x, Multiplier m) {
  const int32_t half = m.multiplier < 0x7fff0000 ? (m.multiplier + (1 << 15)) >> 16 : 0x7fff;
  const int right = 15 - m.shift;
  const uint64_t product = static_cast<uint64_t>(x) * static_cast<uint64_t>(int64_t{half});
  const uint64_t nudged = product + (uint64_t{1} << (right - 1));
  return static_cast<int32_t>(static_cast<int64_t>(nudged) >> right);
}

// x * 2^exponent, saturating; exponent in [1, 30].
inline int32_t saturating_shift_left(int32_t x, int exponent) {
  const int32_t limit = (int32_t{1} << (31 - exponent)) - 1;
  if (x > limit) return INT32_MAX;
  if (x < -limit) return INT32_MIN;
  return static_cast<int32_t>(static_cast<uint32_t>(x) << exponent);
}

// a + b in 32 bits, wrapping.
inline int32_t wrapping_add(int32_t a, int32_t b) {
  return static_cast<int32_t>(static_cast<uint32_t>(a) + static_cast<uint32_t>(b));
}

inline int32_t clamp(int32_t x, int32_t lo, int32_t hi) { return x < lo ? lo : x > hi ? hi : x; }

}  // namespace int8x

#endif  // INT8X_FIXED_POINT_REQUANTIZE_H_
