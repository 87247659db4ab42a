// requantize.h on 16 int32 lanes of AVX-512 (F, BW, DQ), equal to it bit for bit. Only for files
// compiled for AVX-512. The derivation stands in vector_avx2.h.

#ifndef INT8X_FIXED_POINT_VECTOR_AVX512_H_
#define INT8X_FIXED_POINT_VECTOR_AVX512_H_

#include <immintrin.h>

#include "delegate/base/inline.h"
#include "delegate/fixed_point/requantize.h"

namespace int8x::avx512 {

// What the product needs of 16 Multipliers (m, shift), worked out once. e = max(-shift, 0).
struct Rounding {
  __m512i left;                     // max(shift, 0)
  __m512i twice_even, twice_odd;    // 2m in the low half of 64-bit lanes
  __m512i offset_even, offset_odd;  // high half: -m; low half 2^31
  __m512i narrow_even, narrow_odd;  // high half: -m + (e > 0 ? 2^(e-1) - 1 : 0); low half 2^31
  __m512i right;                    // e
  __m512i right_but_one;            // max(e - 1, 0)
  __m512i positive;                 // e > 0 ? 1 : 0
  __m512i sign_shift;               // e > 0 ? 31 : 32, and a logical shift by 32 gives 0
};

INT8X_INLINE Rounding rounding(__m512i multiplier, __m512i shift) {
  const __m512i zero = _mm512_setzero_si512(), one = _mm512_set1_epi32(1);
  const __m512i half = _mm512_set1_epi64(int64_t{1} << 31);
  const __m512i twice = _mm512_add_epi32(multiplier, multiplier);
  const __m512i minus = _mm512_sub_epi32(zero, multiplier);
  Rounding r;
  r.left = _mm512_max_epi32(shift, zero);
  r.right = _mm512_max_epi32(_mm512_sub_epi32(zero, shift), zero);
  r.right_but_one = _mm512_max_epi32(_mm512_sub_epi32(r.right, one), zero);
  r.positive = _mm512_min_epi32(r.right, one);
  r.sign_shift = _mm512_sub_epi32(_mm512_set1_epi32(32), r.positive);
  r.twice_even = twice;
  r.twice_odd = _mm512_srli_epi64(twice, 32);
  r.offset_even = _mm512_or_si512(_mm512_slli_epi64(minus, 32), half);
  r.offset_odd = _mm512_mask_mov_epi32(half, 0xaaaa, minus);
  // 2^(e-1) - 1 for e > 0; for e == 0 it is (1 << 0) - 1 = 0.
  const __m512i nudge = _mm512_sub_epi32(_mm512_sllv_epi32(one, r.right_but_one), one);
  const __m512i narrow = _mm512_add_epi32(minus, nudge);
  r.narrow_even = _mm512_or_si512(_mm512_slli_epi64(narrow, 32), half);
  r.narrow_odd = _mm512_mask_mov_epi32(half, 0xaaaa, narrow);
  return r;
}

// The same Multiplier in every lane.
INT8X_INLINE Rounding rounding(Multiplier m) {
  return rounding(_mm512_set1_epi32(m.multiplier), _mm512_set1_epi32(m.shift));
}

// The 16 Multipliers at m.
INT8X_INLINE Rounding rounding(const Multiplier* m) {
  const __m512i a = _mm512_loadu_si512(m), b = _mm512_loadu_si512(m + 8);
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
  return rounding(_mm512_permutex2var_epi32(a, even, b), _mm512_permutex2var_epi32(a, odd, b));
}

// The high halves of biased * 2m + offset.
INT8X_INLINE __m512i high_products(__m512i biased, const Rounding& r, __m512i offset_even,
                                   __m512i offset_odd) {
  const __m512i even = _mm512_add_epi64(_mm512_mul_epu32(biased, r.twice_even), offset_even);
  const __m512i odd =
      _mm512_add_epi64(_mm512_mul_epu32(_mm512_srli_epi64(biased, 32), r.twice_odd), offset_odd);
  return _mm512_mask_shuffle_epi32(odd, 0x5555, even, _MM_PERM_DDBB);
}

// saturating_rounding_doubling_high_mul(x, m), shift left out. m is never negative.
INT8X_INLINE __m512i saturating_rounding_doubling_high_mul(__m512i x, const Rounding& r) {
  const __m512i biased = _mm512_xor_si512(x, _mm512_set1_epi32(INT32_MIN));
  return high_products(biased, r, r.offset_even, r.offset_odd);
}

// rounding_divide_by_pot(x, e) for INT32_MIN < x < INT32_MAX. For e > 0 it is
// (((x - (x < 0)) >> (e - 1)) + 1) >> 1, which overflows nowhere.
INT8X_INLINE __m512i rounding_divide_by_pot(__m512i x, const Rounding& r) {
  const __m512i away = _mm512_sub_epi32(x, _mm512_srlv_epi32(x, r.sign_shift));
  const __m512i twice = _mm512_srav_epi32(away, r.right_but_one);
  return _mm512_srav_epi32(_mm512_add_epi32(twice, r.positive), r.positive);
}

// multiply_by_quantized_multiplier(x, m) for every x and m.
INT8X_INLINE __m512i multiply_by_quantized_multiplier(__m512i x, const Rounding& r) {
  return rounding_divide_by_pot(
      saturating_rounding_doubling_high_mul(_mm512_sllv_epi32(x, r.left), r), r);
}

// The same for shift <= 0 and |x| < 2^30, in three fewer steps. `biased` is x + 2^31 (wrapping).
INT8X_INLINE __m512i multiply_narrow_biased(__m512i biased, const Rounding& r) {
  const __m512i high = high_products(biased, r, r.narrow_even, r.narrow_odd);
  // The sign of the product may stand for that of x: where they differ the product is 0.
  return _mm512_srav_epi32(_mm512_add_epi32(high, _mm512_srlv_epi32(biased, r.sign_shift)),
                           r.right);
}

INT8X_INLINE __m512i multiply_narrow(__m512i x, const Rounding& r) {
  return multiply_narrow_biased(_mm512_xor_si512(x, _mm512_set1_epi32(INT32_MIN)), r);
}

// For results that are then clamped to 0 or more, ties may go up instead of away from zero: that
// changes negative results only, and none of them to more than 0. Two steps fewer again.
INT8X_INLINE Rounding half_up(Rounding r) {
  r.narrow_even = _mm512_add_epi64(r.narrow_even, _mm512_slli_epi64(r.positive, 32));
  r.narrow_odd = _mm512_add_epi64(r.narrow_odd, _mm512_maskz_mov_epi32(0xaaaa, r.positive));
  return r;
}

// multiply_narrow_biased() for x >= 0 and at most 0 for x < 0; r comes from half_up().
INT8X_INLINE __m512i multiply_half_up_biased(__m512i biased, const Rounding& r) {
  return _mm512_srav_epi32(high_products(biased, r, r.narrow_even, r.narrow_odd), r.right);
}

// x * scale, rounded half away from zero, of 8 lanes; out of range it is INT32_MIN.
INT8X_INLINE __m256i multiply_half_in_double(__m256i x, __m512d scale) {
  // Adding the largest double below one half, with the sign of the product, and cutting off rounds
  // half away from zero; one half itself would carry 0.49999999999999994 to 1.
  const __m512d half = _mm512_set1_pd(0.49999999999999994);
  const __m512d sign = _mm512_set1_pd(-0.0);
  const __m512d y = _mm512_mul_pd(_mm512_cvtepi32_pd(x), scale);
  return _mm512_cvttpd_epi32(_mm512_add_pd(y, _mm512_or_pd(half, _mm512_and_pd(sign, y))));
}

// The same of 16 lanes by the 16 scales at `scales`.
INT8X_INLINE __m512i multiply_in_double(__m512i x, const double* scales) {
  const __m256i low = multiply_half_in_double(_mm512_castsi512_si256(x), _mm512_loadu_pd(scales));
  const __m256i high =
      multiply_half_in_double(_mm512_extracti64x4_epi64(x, 1), _mm512_loadu_pd(scales + 8));
  return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

// Four vectors of 16 int32 to 64 int8, in order, saturating.
INT8X_INLINE __m512i pack_s8(__m512i a, __m512i b, __m512i c, __m512i d) {
  const __m512i bytes = _mm512_packs_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
  return _mm512_permutexvar_epi32(
      _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), bytes);
}

}  // namespace int8x::avx512

#endif  // INT8X_FIXED_POINT_VECTOR_AVX512_H_
