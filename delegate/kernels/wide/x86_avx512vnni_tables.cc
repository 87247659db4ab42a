// int16 LOGISTIC, TANH and SOFTMAX, 32 elements at a time, their tables looked up by permutes.

// GCC 12 says so of its own AVX-512 header.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

#include <immintrin.h>

#include "delegate/kernels/wide/pointwise.h"
#include "delegate/kernels/wide/softmax.h"

namespace int8x {
namespace {

#define LEAF_INLINE static inline __attribute__((always_inline))
#define LEAF_LAMBDA __attribute__((always_inline))

LEAF_INLINE __m512i words(int16_t x) { return _mm512_set1_epi16(x); }
LEAF_INLINE __m512i right(__m512i x, int n) { return _mm512_srl_epi32(x, _mm_cvtsi32_si128(n)); }

// The elements from i of a row of `count`: all 32, those that are left, or none.
LEAF_INLINE __mmask32 some(int64_t count, int64_t i) {
  const int64_t left = count - i;
  if (left >= 32) return ~__mmask32{0};
  return left > 0 ? (__mmask32{1} << left) - 1 : 0;
}

// Where to look in a table of 2^9 int16 or fewer: an index, and which have its three highest bits.
// vpermi2w finds one of 64 in two registers by the six bits below.
struct Place {
  __m512i index;
  __mmask32 bit6, bit7, bit8;
};

LEAF_INLINE Place place(__m512i index) {
  return {index, _mm512_test_epi16_mask(index, words(64)),
          _mm512_test_epi16_mask(index, words(128)), _mm512_test_epi16_mask(index, words(256))};
}

LEAF_INLINE __m512i look_up_128(const __m512i* table, const Place& at) {
  const __m512i a = _mm512_permutex2var_epi16(table[0], at.index, table[1]);
  const __m512i b = _mm512_permutex2var_epi16(table[2], at.index, table[3]);
  return _mm512_mask_mov_epi16(a, at.bit6, b);
}

LEAF_INLINE __m512i look_up_256(const __m512i* table, const Place& at) {
  return _mm512_mask_mov_epi16(look_up_128(table, at), at.bit7, look_up_128(table + 4, at));
}

// Two at a time, as the table does not fit the registers and is loaded once for both.
LEAF_INLINE void look_up_512(const __m512i* table, const Place* at, __m512i* out) {
  __m512i half[2][2];
#pragma GCC unroll 2
  for (int h = 0; h < 2; ++h) {
    __m512i quarter[2][2];
#pragma GCC unroll 2
    for (int q = 0; q < 2; ++q) {
      quarter[q][0] = look_up_128(table + 8 * h + 4 * q, at[0]);
      quarter[q][1] = look_up_128(table + 8 * h + 4 * q, at[1]);
    }
    half[h][0] = _mm512_mask_mov_epi16(quarter[0][0], at[0].bit7, quarter[1][0]);
    half[h][1] = _mm512_mask_mov_epi16(quarter[0][1], at[1].bit7, quarter[1][1]);
  }
  out[0] = _mm512_mask_mov_epi16(half[0][0], at[0].bit8, half[1][0]);
  out[1] = _mm512_mask_mov_epi16(half[0][1], at[1].bit8, half[1][1]);
}

// One half of each of 256 entries.
LEAF_INLINE void load_halves(const uint32_t* entries, int shift, __m512i* table) {
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    const __m512i low = _mm512_srli_epi32(_mm512_loadu_si512(entries + 32 * i), shift);
    const __m512i high = _mm512_srli_epi32(_mm512_loadu_si512(entries + 32 * i + 16), shift);
    table[i] = _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi32_epi16(low)),
                                  _mm512_cvtepi32_epi16(high), 1);
  }
}

// sigmoid() of reference.cc in 16 bits. Both functions are odd about their middle, so that the
// magnitude is looked up and the sign applied at the end: with x = |input| scaled, f its fraction,
//
//   TANH      y = value - 2^15 + floor((f * step + 2^7) / 2^8),           -y for inputs below 0
//   LOGISTIC  y = floor((value + floor(f * step / 2^9) + 1) / 2),     2^15 - y
//
// Scaling rounds halves up, which for an input below 0 is down in the magnitude: one is taken off
// before the shift, if there is one.
template <bool tanh>
LEAF_INLINE void sigmoid(const WideSigmoidParams& p, const int16_t* input, int16_t* output,
                         int64_t count) {
  __m512i values[8], steps[8];
  load_halves(p.table, 16, values);
  load_halves(p.table, 0, steps);
  const __m512i zero = _mm512_setzero_si512(), middle = words(tanh ? 0 : INT16_MIN);
  // Pairs of -|input|, which int16 holds, and -1 below 0.
  const int32_t off = p.shift > 0 ? 1 << 16 : 0;
  const __m512i factors = _mm512_set1_epi32(off | static_cast<uint16_t>(-p.multiplier));
  const __m512i nudge = _mm512_set1_epi32(p.shift > 0 ? 1 << (p.shift - 1) : 0);
  const auto scale = [&](__m512i pairs) LEAF_LAMBDA {
    return right(_mm512_dpwssd_epi32(nudge, pairs, factors), p.shift);
  };
  for (int64_t i = 0; i < count; i += 32) {
    const __mmask32 there = some(count, i);
    const __m512i q = _mm512_maskz_loadu_epi16(there, input + i);
    const __m512i minus = _mm512_min_epi16(q, _mm512_sub_epi16(zero, q));
    const __m512i below = _mm512_srai_epi16(q, 15);
    const __m512i a = scale(_mm512_unpacklo_epi16(minus, below));
    const __m512i b = scale(_mm512_unpackhi_epi16(minus, below));
    __m512i index, fraction;
    if (tanh) {  // 8 bits each; beyond 16 bits the step is 0
      const __m512i x = _mm512_packus_epi32(a, b);
      index = _mm512_srli_epi16(x, 8);
      fraction = _mm512_srli_epi16(_mm512_slli_epi16(x, 8), 1);
    } else {
      const __m512i mask = _mm512_set1_epi32(511);
      index = _mm512_packus_epi32(_mm512_srli_epi32(a, 9), _mm512_srli_epi32(b, 9));
      index = _mm512_min_epu16(index, words(255));
      fraction = _mm512_packus_epi32(_mm512_and_si512(a, mask), _mm512_and_si512(b, mask));
      fraction = _mm512_slli_epi16(fraction, 7);
    }
    const Place at = place(index);
    const __m512i value = look_up_256(values, at), step = look_up_256(steps, at);
    __m512i y;
    if (tanh) {
      y = _mm512_add_epi16(_mm512_xor_si512(value, words(INT16_MIN)),
                           _mm512_mulhrs_epi16(fraction, step));
    } else {
      y = _mm512_avg_epu16(value, _mm512_mulhi_epu16(fraction, step));
    }
    y = _mm512_mask_sub_epi16(y, _mm512_movepi16_mask(q), middle, y);
    _mm512_mask_storeu_epi16(output + i, there, y);
  }
}

// floor((x * twice + 2^31 - 2) / 2^32), then one rounding more, of 16 words below 2^31: MBQM of -x
// with the sign taken off, as both of its roundings are even but for ties of the first, which go
// up.
struct Scale {
  __m512i twice, nearly_half, half;
  int left, right;
};

LEAF_INLINE __m512i scaled(__m512i x, const Scale& s) {
  const __m512i shifted = _mm512_sll_epi32(x, _mm_cvtsi32_si128(s.left));
  const __m512i even = _mm512_add_epi64(_mm512_mul_epu32(shifted, s.twice), s.nearly_half);
  const __m512i odd =
      _mm512_add_epi64(_mm512_mul_epu32(_mm512_srli_epi64(shifted, 32), s.twice), s.nearly_half);
  const __m512i high = _mm512_mask_shuffle_epi32(odd, 0x5555, even, _MM_PERM_DDBB);
  return right(_mm512_add_epi32(high, s.half), s.right);
}

// e(input - max), and their sum: in 16 bits, x = 32767 - t, t = min(MBQM(max - input), 65535).
LEAF_INLINE int32_t exponentials(const WideSoftmaxParams& p, const int16_t* input, int16_t max,
                                 int16_t* output) {
  const int32_t shift = p.multiplier.shift;
  Scale s;
  s.left = shift > 0 ? shift : 0;
  s.right = shift > 0 ? 0 : -shift;
  s.twice =
      _mm512_set1_epi32(static_cast<int32_t>(static_cast<uint32_t>(p.multiplier.multiplier) << 1));
  s.nearly_half = _mm512_set1_epi64((int64_t{1} << 31) - 2);
  s.half = _mm512_set1_epi32(s.right > 0 ? 1 << (s.right - 1) : 0);
  const __m512i zero = _mm512_setzero_si512(), most = words(max), ones = words(1);
  const auto* values = reinterpret_cast<const __m512i*>(p.exponential);
  const auto* slopes = reinterpret_cast<const __m512i*>(p.slope);
  __m512i sums = zero;
  for (int64_t i = 0; i < p.depth; i += 64) {
    __m512i fraction[2], value[2], slope[2];
    Place at[2];
#pragma GCC unroll 2
    for (int h = 0; h < 2; ++h) {
      const __mmask32 there = some(p.depth, i + 32 * h);
      const __m512i d = _mm512_sub_epi16(most, _mm512_maskz_loadu_epi16(there, input + i + 32 * h));
      const __m512i t = _mm512_packus_epi32(scaled(_mm512_unpacklo_epi16(d, zero), s),
                                            scaled(_mm512_unpackhi_epi16(d, zero), s));
      // x + 2^15 = 65535 - t is 7 bits of the fraction below 9 of the index.
      const __m512i x = _mm512_xor_si512(t, words(-1));
      fraction[h] = _mm512_srli_epi16(_mm512_slli_epi16(x, 9), 1);
      at[h] = place(_mm512_srli_epi16(x, 7));
    }
    look_up_512(values, at, value);
    look_up_512(slopes, at, slope);
#pragma GCC unroll 2
    for (int h = 0; h < 2; ++h) {
      const __mmask32 there = some(p.depth, i + 32 * h);
      const __m512i step = _mm512_mulhrs_epi16(slope[h], fraction[h]);
      const __m512i y = _mm512_maskz_add_epi16(there, value[h], step);
      _mm512_mask_storeu_epi16(output + i + 32 * h, there, y);
      sums = _mm512_dpwssd_epi32(sums, y, ones);
    }
  }
  return _mm512_reduce_add_epi32(sums);
}

LEAF_INLINE int16_t greatest(const int16_t* input, int64_t count) {
  __m512i all = words(INT16_MIN);
  for (int64_t i = 0; i < count; i += 32) {
    all = _mm512_max_epi16(all, _mm512_mask_loadu_epi16(all, some(count, i), input + i));
  }
  const __m512i odd = _mm512_srai_epi32(all, 16);
  const __m512i even = _mm512_srai_epi32(_mm512_slli_epi32(all, 16), 16);
  return static_cast<int16_t>(_mm512_reduce_max_epi32(_mm512_max_epi32(even, odd)));
}

LEAF_INLINE void share(int16_t* row, int64_t count, const WideShare& s) {
  const __m512i zero = _mm512_setzero_si512(), factor = _mm512_set1_epi32(s.factor);
  const __m512i half = _mm512_set1_epi32(s.half);
  for (int64_t i = 0; i < count; i += 32) {
    const __mmask32 there = some(count, i);
    const __m512i e = _mm512_maskz_loadu_epi16(there, row + i);
    const auto part = [&](__m512i pairs) LEAF_LAMBDA {
      return _mm512_sra_epi32(_mm512_dpwssd_epi32(half, pairs, factor), _mm_cvtsi32_si128(s.right));
    };
    const __m512i y = _mm512_packs_epi32(part(_mm512_unpacklo_epi16(e, zero)),
                                         part(_mm512_unpackhi_epi16(e, zero)));
    _mm512_mask_storeu_epi16(row + i, there, _mm512_max_epi16(y, zero));
  }
}

}  // namespace

void sigmoid_s16_s16_avx512vnni(const WideSigmoidParams& p, const int16_t* input, int16_t* output,
                                int64_t count) {
  if (p.tanh) {
    sigmoid<true>(p, input, output, count);
  } else {
    sigmoid<false>(p, input, output, count);
  }
}

void softmax_s16_s16_avx512vnni(const WideSoftmaxParams& p, const int16_t* input, int16_t* output) {
  if (p.multiplier.shift > 15) return softmax_s16_s16_avx2(p, input, output);  // << may wrap
  const int32_t sum = exponentials(p, input, greatest(input, p.depth), output);
  share(output, p.depth, wide_share_of(p, sum));
}

}  // namespace int8x
