// A table of 256 bytes as sixteen of 16 for vpshufb, 64 lookups at a time; x86_avx512vnni.cc says
// how.

#include <cstring>

#include "delegate/base/avx512.h"
#include "delegate/base/inline.h"
#include "delegate/kernels/lut/leaf.h"

namespace int8x {
namespace {

struct Tables {
  __m512i difference[16];  // of tables 0 .. 7, then of tables 8 .. 15
};

INT8X_INLINE Tables load_tables(const uint8_t* table) {
  Tables t;
  __m512i before = _mm512_setzero_si512();
  for (int k = 0; k < 16; ++k) {
    const __m512i own =
        _mm512_broadcast_i32x4(_mm_load_si128(reinterpret_cast<const __m128i*>(table + 16 * k)));
    t.difference[k] = k % 8 == 0 ? own : _mm512_xor_si512(own, before);
    before = own;
  }
  return t;
}

INT8X_INLINE __m512i look_up(const Tables& t, __m512i index) {
  const __m512i sixteen = _mm512_set1_epi8(16);
  __m512i low = index, high = _mm512_xor_si512(index, _mm512_set1_epi8(-128));
  __m512i y = _mm512_xor_si512(_mm512_shuffle_epi8(t.difference[0], low),
                               _mm512_shuffle_epi8(t.difference[8], high));
#pragma GCC unroll 8
  for (int k = 1; k < 8; ++k) {
    // Saturating, so that negative ones stay negative.
    low = _mm512_subs_epi8(low, sixteen);
    high = _mm512_subs_epi8(high, sixteen);
    y = _mm512_xor_si512(y, _mm512_shuffle_epi8(t.difference[k], low));
    y = _mm512_xor_si512(y, _mm512_shuffle_epi8(t.difference[8 + k], high));
  }
  return y;
}

}  // namespace

void lut_x8_x8_avx512vnni(const LutParams& params, const uint8_t* input, uint8_t* output,
                          int64_t count) {
  const Tables tables = load_tables(params.table);
  int64_t i = 0;
  for (; i + 64 <= count; i += 64) {
    const __m512i x = _mm512_loadu_si512(input + i);
    _mm512_storeu_si512(output + i, look_up(tables, x));
  }
  for (; i < count; ++i) output[i] = params.table[input[i]];
}

void lut_s8_s8_clamp_avx512vnni(const LutParams& params, const uint8_t* input, uint8_t* output,
                                int64_t count) {
  const __m512i min = _mm512_set1_epi8(params.clamp_min), max = _mm512_set1_epi8(params.clamp_max);
  int64_t i = 0;
  for (; i + 64 <= count; i += 64) {
    const __m512i x = _mm512_loadu_si512(input + i);
    _mm512_storeu_si512(output + i, _mm512_min_epi8(_mm512_max_epi8(x, min), max));
  }
  for (; i < count; ++i) output[i] = params.table[input[i]];
}

}  // namespace int8x
