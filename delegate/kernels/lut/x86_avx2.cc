// A table of 256 bytes as sixteen of 16 for vpshufb, 32 lookups at a time.
//
// vpshufb gives table[i & 15] for i < 128 and 0 for i >= 128. With the tables replaced by their
// differences d[0] = t[0], d[k] = t[k] ^ t[k - 1], the exclusive or of d[k][i - 16 k] over all k
// with 16 k <= i is t[i / 16][i & 15]: subtracting 16 at each turn makes i negative, and so silent,
// once its own table is past. Indices of 128 and more pass the first eight turns as negative ones;
// the second eight, for which they are flipped into reach, start anew.

#include <immintrin.h>

#include <cstring>

#include "delegate/base/inline.h"
#include "delegate/kernels/lut/leaf.h"

namespace int8x {
namespace {

struct Tables {
  __m256i difference[16];  // of tables 0 .. 7, then of tables 8 .. 15
};

INT8X_INLINE Tables load_tables(const uint8_t* table) {
  Tables t;
  __m256i before = _mm256_setzero_si256();
  for (int k = 0; k < 16; ++k) {
    const __m256i own = _mm256_broadcastsi128_si256(
        _mm_load_si128(reinterpret_cast<const __m128i*>(table + 16 * k)));
    t.difference[k] = k % 8 == 0 ? own : _mm256_xor_si256(own, before);
    before = own;
  }
  return t;
}

INT8X_INLINE __m256i look_up(const Tables& t, __m256i index) {
  const __m256i sixteen = _mm256_set1_epi8(16);
  __m256i low = index, high = _mm256_xor_si256(index, _mm256_set1_epi8(-128));
  __m256i y = _mm256_xor_si256(_mm256_shuffle_epi8(t.difference[0], low),
                               _mm256_shuffle_epi8(t.difference[8], high));
#pragma GCC unroll 8
  for (int k = 1; k < 8; ++k) {
    // Saturating, so that negative ones stay negative.
    low = _mm256_subs_epi8(low, sixteen);
    high = _mm256_subs_epi8(high, sixteen);
    y = _mm256_xor_si256(y, _mm256_shuffle_epi8(t.difference[k], low));
    y = _mm256_xor_si256(y, _mm256_shuffle_epi8(t.difference[8 + k], high));
  }
  return y;
}

}  // namespace

void lut_x8_x8_avx2(const LutParams& params, const uint8_t* input, uint8_t* output, int64_t count) {
  const Tables tables = load_tables(params.table);
  int64_t i = 0;
  for (; i + 32 <= count; i += 32) {
    const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(input + i));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(output + i), look_up(tables, x));
  }
  for (; i < count; ++i) output[i] = params.table[input[i]];
}

void lut_s8_s8_clamp_avx2(const LutParams& params, const uint8_t* input, uint8_t* output,
                          int64_t count) {
  const __m256i min = _mm256_set1_epi8(params.clamp_min), max = _mm256_set1_epi8(params.clamp_max);
  int64_t i = 0;
  for (; i + 32 <= count; i += 32) {
    const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(input + i));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(output + i),
                        _mm256_min_epi8(_mm256_max_epi8(x, min), max));
  }
  for (; i < count; ++i) output[i] = params.table[input[i]];
}

}  // namespace int8x
