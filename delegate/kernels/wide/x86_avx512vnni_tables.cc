// int16 LOGISTIC, TANH and SOFTMAX, their tables looked up by permutes of words.

#include "delegate/base/avx512.h"
#include "delegate/base/inline.h"
#include "delegate/kernels/wide/pointwise.h"
#include "delegate/kernels/wide/softmax.h"

namespace int8x {
namespace {

INT8X_INLINE __m512i words(int16_t x) { return _mm512_set1_epi16(x); }

// Where to look in a table of 2^9 int16 or fewer: an index, and which have its three highest bits.
// vpermi2w finds one of 64 in two registers by the six bits below.
struct Place {
  __m512i index;
  __mmask32 bit6, bit7, bit8;
};

INT8X_INLINE Place place(__m512i index) {
  return {index, _mm512_test_epi16_mask(index, words(64)),
          _mm512_test_epi16_mask(index, words(128)), _mm512_test_epi16_mask(index, words(256))};
}

INT8X_INLINE __m512i look_up_128(const __m512i* table, const Place& at) {
  const __m512i a = _mm512_permutex2var_epi16(table[0], at.index, table[1]);
  const __m512i b = _mm512_permutex2var_epi16(table[2], at.index, table[3]);
  return _mm512_mask_mov_epi16(a, at.bit6, b);
}

INT8X_INLINE __m512i look_up_256(const __m512i* table, const Place& at) {
  return _mm512_mask_mov_epi16(look_up_128(table, at), at.bit7, look_up_128(table + 4, at));
}

// Two at a time, as the table does not fit the registers and is loaded once for both.
INT8X_INLINE void look_up_512(const __m512i* table, const Place* at, __m512i* out) {
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
INT8X_INLINE void load_halves(const uint32_t* entries, int shift, __m512i* table) {
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    const __m512i low = _mm512_srli_epi32(_mm512_loadu_si512(entries + 32 * i), shift);
    const __m512i high = _mm512_srli_epi32(_mm512_loadu_si512(entries + 32 * i + 16), shift);
    table[i] = _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi32_epi16(low)),
                                  _mm512_cvtepi32_epi16(high), 1);
  }
}

// TANH's values less 2^15: words ^ 0x8000.
template <bool tanh>
struct SigmoidTables {
  INT8X_INLINE_MEMBER explicit SigmoidTables(const WideSigmoidParams& p) {
    load_halves(p.table, 16, values);
    load_halves(p.table, 0, steps);
    if (!tanh) return;
#pragma GCC unroll 8
    for (__m512i& v : values) v = _mm512_xor_si512(v, words(INT16_MIN));
  }
  INT8X_INLINE_MEMBER void find(const __m512i* x, __m512i* value, __m512i* step) const {
#pragma GCC unroll 2
    for (int h = 0; h < 2; ++h) {
      const Place at =
          place(tanh ? _mm512_srli_epi16(x[h], 8) : _mm512_min_epi16(x[h], words(255)));
      value[h] = look_up_256(values, at);
      step[h] = look_up_256(steps, at);
    }
  }

  __m512i values[8], steps[8];
};

struct ExponentialTables {
  INT8X_INLINE_MEMBER explicit ExponentialTables(const WideSoftmaxParams& p)
      : values(reinterpret_cast<const __m512i*>(p.exponential)),
        slopes(reinterpret_cast<const __m512i*>(p.slope)) {}
  INT8X_INLINE_MEMBER void find(const __m512i* x, __m512i* value, __m512i* slope) const {
    const Place at[2] = {place(_mm512_srli_epi16(x[0], 7)), place(_mm512_srli_epi16(x[1], 7))};
    look_up_512(values, at, value);
    look_up_512(slopes, at, slope);
  }

  const __m512i* values;
  const __m512i* slopes;
};

#include "delegate/kernels/wide/tables_x86_512.inc"

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
  softmax(p, input, output);
}

}  // namespace int8x
