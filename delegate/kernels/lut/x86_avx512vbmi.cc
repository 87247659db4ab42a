// A table of 256 bytes in four registers: vpermi2b finds one of 128 in two of them by the seven
// lowest bits of the index, the highest bit says in which two.

#include <immintrin.h>

#include "delegate/base/inline.h"
#include "delegate/kernels/lut/leaf.h"

namespace int8x {

void lut_x8_x8_avx512vbmi(const LutParams& params, const uint8_t* input, uint8_t* output,
                          int64_t count) {
  __m512i table[4];
  for (int i = 0; i < 4; ++i) table[i] = _mm512_load_si512(params.table + 64 * i);
  const auto look_up = [&](__m512i index) INT8X_INLINE_LAMBDA {
    const __m512i low = _mm512_permutex2var_epi8(table[0], index, table[1]);
    const __m512i high = _mm512_permutex2var_epi8(table[2], index, table[3]);
    return _mm512_mask_mov_epi8(low, _mm512_movepi8_mask(index), high);
  };
  int64_t i = 0;
  for (; i + 64 <= count; i += 64) {
    _mm512_storeu_si512(output + i, look_up(_mm512_loadu_si512(input + i)));
  }
  if (i == count) return;
  const __mmask64 rest = (__mmask64{1} << (count - i)) - 1;
  _mm512_mask_storeu_epi8(output + i, rest, look_up(_mm512_maskz_loadu_epi8(rest, input + i)));
}

}  // namespace int8x
