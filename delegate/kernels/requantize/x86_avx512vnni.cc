#include <immintrin.h>

#include "delegate/fixed_point/vector_avx512.h"
#include "delegate/kernels/requantize/requantize.h"

namespace int8x {
namespace {

#define INT8X_UNROLL _Pragma("GCC unroll 8")

__m512i bias_of(const RequantizeBlock& b, int j) {
  const __m512i bias = _mm512_loadu_si512(b.bias + j);
  // 2^31 on top for multiply_narrow_biased().
  return b.narrow ? _mm512_xor_si512(bias, _mm512_set1_epi32(INT32_MIN)) : bias;
}

template <Rounds rounds>
avx512::Rounding rounding_of(const RequantizeBlock& b, int j) {
  const avx512::Rounding rounding = avx512::rounding(b.multipliers + j);
  return rounds == Rounds::half_up ? avx512::half_up(rounding) : rounding;
}

template <Rounds rounds>
__m512i scaled(__m512i sum, const avx512::Rounding& rounding, __m512i zero_point) {
  if (rounds == Rounds::half_up) return avx512::multiply_half_up_biased(sum, rounding);
  if (rounds == Rounds::narrow) return avx512::multiply_narrow_biased(sum, rounding);
  // Both may wrap: the left shift inside and the zero point here.
  return _mm512_add_epi32(avx512::multiply_by_quantized_multiplier(sum, rounding), zero_point);
}

// 64 columns from j on.
template <Rounds rounds>
void four_vectors(const RequantizeBlock& b, int j) {
  avx512::Rounding rounding[4];
  __m512i bias[4];
  INT8X_UNROLL
  for (int v = 0; v < 4; ++v) {
    rounding[v] = rounding_of<rounds>(b, j + 16 * v);
    bias[v] = bias_of(b, j + 16 * v);
  }
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i zero_point = _mm512_set1_epi32(b.zero_point);
  // Narrow values take the zero point in 16 bits: saturated there, they are out of int8's range.
  const __m512i zero_point16 =
      _mm512_set1_epi16(rounds != Rounds::anyhow ? static_cast<short>(b.zero_point) : 0);
  const __m512i min = _mm512_set1_epi8(static_cast<char>(b.min));
  const __m512i max = _mm512_set1_epi8(static_cast<char>(b.max));
  for (int i = 0; i < b.m; ++i) {
    const int32_t* c = b.c + i * b.c_stride + j;
    __m512i y[4];
    INT8X_UNROLL
    for (int v = 0; v < 4; ++v) {
      const __m512i sum = _mm512_add_epi32(bias[v], _mm512_loadu_si512(c + 16 * v));
      y[v] = scaled<rounds>(sum, rounding[v], zero_point);
    }
    const __m512i low = _mm512_adds_epi16(_mm512_packs_epi32(y[0], y[1]), zero_point16);
    const __m512i high = _mm512_adds_epi16(_mm512_packs_epi32(y[2], y[3]), zero_point16);
    __m512i bytes = _mm512_packs_epi16(low, high);
    bytes = _mm512_min_epi8(_mm512_max_epi8(bytes, min), max);
    _mm512_storeu_si512(b.out + i * b.out_stride + j, _mm512_permutexvar_epi32(order, bytes));
  }
}

// 16 columns from j on, of which `mask` are written.
template <Rounds rounds>
void one_vector(const RequantizeBlock& b, int j, __mmask16 mask) {
  const avx512::Rounding rounding = rounding_of<rounds>(b, j);
  const __m512i bias = bias_of(b, j);
  const __m512i zero_point = _mm512_set1_epi32(b.zero_point);
  const __m512i min = _mm512_set1_epi32(b.min), max = _mm512_set1_epi32(b.max);
  for (int i = 0; i < b.m; ++i) {
    const __m512i sum = _mm512_add_epi32(bias, _mm512_loadu_si512(b.c + i * b.c_stride + j));
    __m512i y = scaled<rounds>(sum, rounding, zero_point);
    if (rounds != Rounds::anyhow) y = _mm512_add_epi32(y, zero_point);
    y = _mm512_min_epi32(_mm512_max_epi32(y, min), max);
    _mm512_mask_cvtepi32_storeu_epi8(b.out + i * b.out_stride + j, mask, y);
  }
}

template <Rounds rounds>
void columns(const RequantizeBlock& b) {
  int j = 0;
  for (; j + 64 <= b.n; j += 64) four_vectors<rounds>(b, j);
  for (; j < b.n; j += 16) {
    const int left = b.n - j;
    one_vector<rounds>(b, j, static_cast<__mmask16>(left < 16 ? (1u << left) - 1 : 0xffff));
  }
}

}  // namespace

void requantize_s32_s8_1x64_avx512vnni(const RequantizeBlock& b) {
  switch (rounds_of(b.narrow, b.zero_point, b.min)) {
    case Rounds::anyhow:
      return columns<Rounds::anyhow>(b);
    case Rounds::narrow:
      return columns<Rounds::narrow>(b);
    case Rounds::half_up:
      return columns<Rounds::half_up>(b);
  }
}

void requantize_s32_s8_double_1x16_avx512vnni(const RequantizeBlock& b) {
  const __m512i zero_point = _mm512_set1_epi32(b.zero_point);
  const __m512i min = _mm512_set1_epi32(b.min), max = _mm512_set1_epi32(b.max);
  for (int j = 0; j < b.n; j += 16) {
    const int left = b.n - j;
    const __mmask16 mask = static_cast<__mmask16>(left < 16 ? (1u << left) - 1 : 0xffff);
    const __m512i bias = _mm512_loadu_si512(b.bias + j);
    for (int i = 0; i < b.m; ++i) {
      const __m512i sum = _mm512_add_epi32(bias, _mm512_loadu_si512(b.c + i * b.c_stride + j));
      __m512i y = avx512::multiply_in_double(sum, b.scales + j);
      y = _mm512_min_epi32(_mm512_max_epi32(_mm512_add_epi32(y, zero_point), min), max);
      _mm512_mask_cvtepi32_storeu_epi8(b.out + i * b.out_stride + j, mask, y);
    }
  }
}

}  // namespace int8x
