// requantize.h on 8 int32 lanes of AVX2, equal to it bit for bit. Only for files compiled for AVX2.

#ifndef INT8X_FIXED_POINT_VECTOR_AVX2_H_
#define INT8X_FIXED_POINT_VECTOR_AVX2_H_

#include <immintrin.h>

#include "delegate/base/inline.h"
#include "delegate/fixed_point/requantize.h"

namespace int8x::avx2 {

// What the product needs of 8 Multipliers (m, shift), worked out once. e = max(-shift, 0).
//
// With A = x + 2^31 unsigned, A * 2m + 2^31 = (2xm + 2^31) + m * 2^32, so the high half of an
// unsigned product, less m, is floor((xm + 2^30) / 2^31): the rounding product without a shift.
// `offset` holds the 2^31 below and what is added to the high half above.
struct Rounding {
  __m256i left;                     // max(shift, 0)
  __m256i twice_even, twice_odd;    // 2m in the low half of 64-bit lanes
  __m256i offset_even, offset_odd;  // high half: -m
  __m256i narrow_even, narrow_odd;  // high half: -m + (e > 0 ? 2^(e-1) - 1 : 0)
  __m256i right;                    // e
  __m256i right_but_one;            // max(e - 1, 0)
  __m256i positive;                 // e > 0 ? 1 : 0
  __m256i sign_shift;               // e > 0 ? 31 : 32, and a logical shift by 32 gives 0
};

INT8X_INLINE Rounding rounding(__m256i multiplier, __m256i shift) {
  const __m256i zero = _mm256_setzero_si256(), one = _mm256_set1_epi32(1);
  const __m256i half = _mm256_set1_epi64x(int64_t{1} << 31);
  const __m256i twice = _mm256_add_epi32(multiplier, multiplier);
  const __m256i minus = _mm256_sub_epi32(zero, multiplier);
  Rounding r;
  r.left = _mm256_max_epi32(shift, zero);
  r.right = _mm256_max_epi32(_mm256_sub_epi32(zero, shift), zero);
  r.right_but_one = _mm256_max_epi32(_mm256_sub_epi32(r.right, one), zero);
  r.positive = _mm256_min_epi32(r.right, one);
  r.sign_shift = _mm256_sub_epi32(_mm256_set1_epi32(32), r.positive);
  r.twice_even = twice;
  r.twice_odd = _mm256_srli_epi64(twice, 32);
  r.offset_even = _mm256_or_si256(_mm256_slli_epi64(minus, 32), half);
  r.offset_odd = _mm256_or_si256(_mm256_slli_epi64(_mm256_srli_epi64(minus, 32), 32), half);
  // 2^(e-1) - 1 for e > 0; for e == 0 it is (1 << 0) - 1 = 0.
  const __m256i nudge = _mm256_sub_epi32(_mm256_sllv_epi32(one, r.right_but_one), one);
  const __m256i narrow = _mm256_add_epi32(minus, nudge);
  r.narrow_even = _mm256_or_si256(_mm256_slli_epi64(narrow, 32), half);
  r.narrow_odd = _mm256_or_si256(_mm256_slli_epi64(_mm256_srli_epi64(narrow, 32), 32), half);
  return r;
}

// The same Multiplier in every lane.
INT8X_INLINE Rounding rounding(Multiplier m) {
  return rounding(_mm256_set1_epi32(m.multiplier), _mm256_set1_epi32(m.shift));
}

// The 8 Multipliers at m.
INT8X_INLINE Rounding rounding(const Multiplier* m) {
  const __m256i* p = reinterpret_cast<const __m256i*>(m);
  const __m256 a = _mm256_castsi256_ps(_mm256_loadu_si256(p));
  const __m256 b = _mm256_castsi256_ps(_mm256_loadu_si256(p + 1));
  const __m256i multiplier = _mm256_castps_si256(_mm256_shuffle_ps(a, b, 0x88));
  const __m256i shift = _mm256_castps_si256(_mm256_shuffle_ps(a, b, 0xdd));
  return rounding(_mm256_permute4x64_epi64(multiplier, 0xd8),
                  _mm256_permute4x64_epi64(shift, 0xd8));
}

// The high halves of biased * 2m + offset.
INT8X_INLINE __m256i high_products(__m256i biased, const Rounding& r, __m256i offset_even,
                                   __m256i offset_odd) {
  const __m256i even = _mm256_add_epi64(_mm256_mul_epu32(biased, r.twice_even), offset_even);
  const __m256i odd =
      _mm256_add_epi64(_mm256_mul_epu32(_mm256_srli_epi64(biased, 32), r.twice_odd), offset_odd);
  return _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
}

// saturating_rounding_doubling_high_mul(x, m), shift left out. m is never negative.
INT8X_INLINE __m256i saturating_rounding_doubling_high_mul(__m256i x, const Rounding& r) {
  const __m256i biased = _mm256_xor_si256(x, _mm256_set1_epi32(INT32_MIN));
  return high_products(biased, r, r.offset_even, r.offset_odd);
}

// rounding_divide_by_pot(x, e) for INT32_MIN < x < INT32_MAX. For e > 0 it is
// (((x - (x < 0)) >> (e - 1)) + 1) >> 1, which overflows nowhere.
INT8X_INLINE __m256i rounding_divide_by_pot(__m256i x, const Rounding& r) {
  const __m256i away = _mm256_sub_epi32(x, _mm256_srlv_epi32(x, r.sign_shift));
  const __m256i twice = _mm256_srav_epi32(away, r.right_but_one);
  return _mm256_srav_epi32(_mm256_add_epi32(twice, r.positive), r.positive);
}

// multiply_by_quantized_multiplier(x, m) for every x and m.
INT8X_INLINE __m256i multiply_by_quantized_multiplier(__m256i x, const Rounding& r) {
  return rounding_divide_by_pot(
      saturating_rounding_doubling_high_mul(_mm256_sllv_epi32(x, r.left), r), r);
}

// The same for shift <= 0 and |x| < 2^30, in three fewer steps. `biased` is x + 2^31 (wrapping).
INT8X_INLINE __m256i multiply_narrow_biased(__m256i biased, const Rounding& r) {
  const __m256i high = high_products(biased, r, r.narrow_even, r.narrow_odd);
  // The sign of the product may stand for that of x: where they differ the product is 0.
  return _mm256_srav_epi32(_mm256_add_epi32(high, _mm256_srlv_epi32(biased, r.sign_shift)),
                           r.right);
}

INT8X_INLINE __m256i multiply_narrow(__m256i x, const Rounding& r) {
  return multiply_narrow_biased(_mm256_xor_si256(x, _mm256_set1_epi32(INT32_MIN)), r);
}

// For results that are then clamped to 0 or more, ties may go up instead of away from zero: that
// changes negative results only, and none of them to more than 0. Two steps fewer again.
INT8X_INLINE Rounding half_up(Rounding r) {
  r.narrow_even = _mm256_add_epi64(r.narrow_even, _mm256_slli_epi64(r.positive, 32));
  r.narrow_odd =
      _mm256_add_epi64(r.narrow_odd, _mm256_slli_epi64(_mm256_srli_epi64(r.positive, 32), 32));
  return r;
}

// multiply_narrow_biased() for x >= 0 and at most 0 for x < 0; r comes from half_up().
INT8X_INLINE __m256i multiply_half_up_biased(__m256i biased, const Rounding& r) {
  return _mm256_srav_epi32(high_products(biased, r, r.narrow_even, r.narrow_odd), r.right);
}

// Four vectors of 8 int32 to 32 int8, in order, saturating.
INT8X_INLINE __m256i pack_s8(__m256i a, __m256i b, __m256i c, __m256i d) {
  const __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
  return _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

}  // namespace int8x::avx2

#endif  // INT8X_FIXED_POINT_VECTOR_AVX2_H_
