// int16 LOGISTIC, TANH and SOFTMAX, their tables looked up by permutes of bytes.

#include "delegate/base/avx512.h"
#include "delegate/base/inline.h"
#include "delegate/kernels/wide/pointwise.h"
#include "delegate/kernels/wide/softmax.h"

namespace int8x {
namespace {

INT8X_INLINE __m512i words(int16_t x) { return _mm512_set1_epi16(x); }

// What vpermi2b takes the low (0) or high (1) bytes of 64 words in two registers by: eight of each
// register in turn, as join() wants them.
INT8X_INLINE __m512i turns(int first) {
  alignas(64) uint8_t order[64];
  for (int l = 0; l < 4; ++l) {
    for (int i = 0; i < 8; ++i) {
      order[16 * l + i] = static_cast<uint8_t>(16 * l + 2 * i + first);
      order[16 * l + 8 + i] = static_cast<uint8_t>(64 + 16 * l + 2 * i + first);
    }
  }
  return _mm512_load_si512(order);
}

INT8X_INLINE void join(__m512i low, __m512i high, __m512i* words) {
  words[0] = _mm512_unpacklo_epi8(low, high);
  words[1] = _mm512_unpackhi_epi8(low, high);
}

// A table of 256 bytes: vpermi2b finds one of 128 in two registers.
struct Table256 {
  INT8X_INLINE_MEMBER explicit Table256(const uint8_t* bytes) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) part[i] = _mm512_load_si512(bytes + 64 * i);
  }
  INT8X_INLINE_MEMBER __m512i find(__m512i index, __mmask64 upper) const {
    return _mm512_mask_mov_epi8(_mm512_permutex2var_epi8(part[0], index, part[1]), upper,
                                _mm512_permutex2var_epi8(part[2], index, part[3]));
  }

  __m512i part[4];
};

template <bool tanh>
struct SigmoidTables {
  INT8X_INLINE_MEMBER explicit SigmoidTables(const WideSigmoidParams& p)
      : value_low(p.bytes.value_low),
        value_high(p.bytes.value_high),
        step_low(p.bytes.step_low),
        step_high(_mm512_load_si512(p.bytes.step_high)),
        order(turns(1)) {}
  INT8X_INLINE_MEMBER void find(const __m512i* x, __m512i* value, __m512i* step) const {
    const __m512i index =
        tanh ? _mm512_permutex2var_epi8(x[0], order, x[1]) : _mm512_packus_epi16(x[0], x[1]);
    const __mmask64 upper = _mm512_movepi8_mask(index);
    const __mmask64 first = _mm512_testn_epi8_mask(index, _mm512_set1_epi8(-64));
    join(value_low.find(index, upper), value_high.find(index, upper), value);
    join(step_low.find(index, upper), _mm512_maskz_permutexvar_epi8(first, index, step_high), step);
  }

  Table256 value_low, value_high, step_low;
  __m512i step_high, order;
};

// Entries at even and at odd places: x >> 7 is the high byte of x, then bit 7 of the low one.
struct ExponentialTables {
  INT8X_INLINE_MEMBER explicit ExponentialTables(const WideSoftmaxParams& p)
      : bytes(p.bytes), low(turns(0)), high(turns(1)) {}
  INT8X_INLINE_MEMBER static __m512i either(const uint8_t (&table)[2][256], __m512i index,
                                            __mmask64 upper, __mmask64 odd) {
    return _mm512_mask_mov_epi8(Table256(table[0]).find(index, upper), odd,
                                Table256(table[1]).find(index, upper));
  }
  INT8X_INLINE_MEMBER void find(const __m512i* x, __m512i* value, __m512i* slope) const {
    const __m512i index = _mm512_permutex2var_epi8(x[0], high, x[1]);
    const __mmask64 odd = _mm512_movepi8_mask(_mm512_permutex2var_epi8(x[0], low, x[1]));
    const __mmask64 upper = _mm512_movepi8_mask(index);
    const __mmask64 last = _mm512_cmpge_epu8_mask(index, _mm512_set1_epi8(-64));
    const __m512i even_steep = _mm512_load_si512(bytes.slope_high[0]);
    const __m512i odd_steep = _mm512_load_si512(bytes.slope_high[1]);
    const __m512i steep = _mm512_mask_permutexvar_epi8(
        _mm512_maskz_permutexvar_epi8(last, index, even_steep), last & odd, index, odd_steep);
    join(either(bytes.value_low, index, upper, odd), either(bytes.value_high, index, upper, odd),
         value);
    join(either(bytes.slope_low, index, upper, odd), steep, slope);
  }

  const WideSoftmaxBytes& bytes;
  __m512i low, high;
};

#include "delegate/kernels/wide/tables_x86_512.inc"

}  // namespace

void sigmoid_s16_s16_avx512vbmi(const WideSigmoidParams& p, const int16_t* input, int16_t* output,
                                int64_t count) {
  if (p.tanh) {
    sigmoid<true>(p, input, output, count);
  } else {
    sigmoid<false>(p, input, output, count);
  }
}

void softmax_s16_s16_avx512vbmi(const WideSoftmaxParams& p, const int16_t* input, int16_t* output) {
  softmax(p, input, output);
}

}  // namespace int8x
