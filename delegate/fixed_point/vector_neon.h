// requantize.h on 4 int32 lanes of NEON, equal to it bit for bit.

#ifndef INT8X_FIXED_POINT_VECTOR_NEON_H_
#define INT8X_FIXED_POINT_VECTOR_NEON_H_

#include <arm_neon.h>

#include "delegate/base/inline.h"
#include "delegate/fixed_point/requantize.h"

namespace int8x::neon {

// 4 Multipliers (m, shift), split once.
struct Rounding {
  int32x4_t multiplier;
  int32x4_t left;   // max(shift, 0)
  int32x4_t right;  // min(shift, 0): NEON shifts right by shifting left by a negative count
};

INT8X_INLINE Rounding rounding(int32x4_t multiplier, int32x4_t shift) {
  const int32x4_t zero = vdupq_n_s32(0);
  return {multiplier, vmaxq_s32(shift, zero), vminq_s32(shift, zero)};
}

// The same Multiplier in every lane.
INT8X_INLINE Rounding rounding(Multiplier m) {
  return rounding(vdupq_n_s32(m.multiplier), vdupq_n_s32(m.shift));
}

// The 4 Multipliers at m.
INT8X_INLINE Rounding rounding(const Multiplier* m) {
  const int32x4x2_t both = vld2q_s32(&m->multiplier);
  return rounding(both.val[0], both.val[1]);
}

// saturating_rounding_doubling_high_mul(x, m), shift left out: sqrdmulh is that very function.
INT8X_INLINE int32x4_t saturating_rounding_doubling_high_mul(int32x4_t x, const Rounding& r) {
  return vqrdmulhq_s32(x, r.multiplier);
}

// rounding_divide_by_pot(x, e) for x > INT32_MIN. srshl rounds ties up; taking 1 from negative x
// first, where e > 0, turns that into ties away from zero.
INT8X_INLINE int32x4_t rounding_divide_by_pot(int32x4_t x, const Rounding& r) {
  const int32x4_t sign = vshrq_n_s32(vandq_s32(x, r.right), 31);
  return vrshlq_s32(vaddq_s32(x, sign), r.right);
}

// multiply_by_quantized_multiplier(x, m) for every x and m.
INT8X_INLINE int32x4_t multiply_by_quantized_multiplier(int32x4_t x, const Rounding& r) {
  return rounding_divide_by_pot(saturating_rounding_doubling_high_mul(vshlq_s32(x, r.left), r), r);
}

// The same for shift <= 0.
INT8X_INLINE int32x4_t multiply_narrow(int32x4_t x, const Rounding& r) {
  return rounding_divide_by_pot(saturating_rounding_doubling_high_mul(x, r), r);
}

// For results that are then clamped to 0 or more, ties may go up instead of away from zero: that
// changes negative results only, and none of them to more than 0. shift <= 0.
INT8X_INLINE int32x4_t multiply_half_up(int32x4_t x, const Rounding& r) {
  return vrshlq_s32(saturating_rounding_doubling_high_mul(x, r), r.right);
}

// Four vectors of 4 int32 to 16 int8, in order, saturating.
INT8X_INLINE int8x16_t pack_s8(int32x4_t a, int32x4_t b, int32x4_t c, int32x4_t d) {
  const int16x8_t low = vcombine_s16(vqmovn_s32(a), vqmovn_s32(b));
  const int16x8_t high = vcombine_s16(vqmovn_s32(c), vqmovn_s32(d));
  return vcombine_s8(vqmovn_s16(low), vqmovn_s16(high));
}

}  // namespace int8x::neon

#endif  // INT8X_FIXED_POINT_VECTOR_NEON_H_
