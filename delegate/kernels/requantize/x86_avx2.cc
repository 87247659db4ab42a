#include <immintrin.h>

#include "delegate/fixed_point/vector_avx2.h"
#include "delegate/kernels/requantize/requantize.h"

namespace int8x {
namespace {

__m256i load(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }

__m256i bias_of(const RequantizeBlock& b, int j) {
  const __m256i bias = load(b.bias + j);
  // 2^31 on top for multiply_narrow_biased().
  return b.narrow ? _mm256_xor_si256(bias, _mm256_set1_epi32(INT32_MIN)) : bias;
}

template <Rounds rounds>
avx2::Rounding rounding_of(const RequantizeBlock& b, int j) {
  const avx2::Rounding rounding = avx2::rounding(b.multipliers + j);
  return rounds == Rounds::half_up ? avx2::half_up(rounding) : rounding;
}

template <Rounds rounds>
__m256i scaled(__m256i sum, const avx2::Rounding& rounding, __m256i zero_point) {
  const __m256i y = rounds == Rounds::half_up ? avx2::multiply_half_up_biased(sum, rounding)
                    : rounds == Rounds::narrow
                        ? avx2::multiply_narrow_biased(sum, rounding)
                        : avx2::multiply_by_quantized_multiplier(sum, rounding);
  return _mm256_add_epi32(y, zero_point);
}

// 16 values in order; lanes of 128 bits are packed apart.
__m128i pack(__m256i low, __m256i high) {
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xd8);
  return _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
}

void store(int8_t* out, __m128i bytes, int count) {
  if (count >= 16) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), bytes);
  } else {
    int8_t all[16];
    _mm_storeu_si128(reinterpret_cast<__m128i*>(all), bytes);
    __builtin_memcpy(out, all, static_cast<unsigned>(count));
  }
}

// 16 columns from j on, of which `count` are written.
template <Rounds rounds>
void sixteen_columns(const RequantizeBlock& b, int j, int count) {
  const avx2::Rounding low = rounding_of<rounds>(b, j);
  const avx2::Rounding high = rounding_of<rounds>(b, j + 8);
  const __m256i low_bias = bias_of(b, j), high_bias = bias_of(b, j + 8);
  const __m256i zero_point = _mm256_set1_epi32(b.zero_point);
  const __m128i min = _mm_set1_epi8(static_cast<char>(b.min));
  const __m128i max = _mm_set1_epi8(static_cast<char>(b.max));
  for (int i = 0; i < b.m; ++i) {
    const int32_t* c = b.c + i * b.c_stride + j;
    const __m256i y0 = scaled<rounds>(_mm256_add_epi32(load(c), low_bias), low, zero_point);
    const __m256i y1 = scaled<rounds>(_mm256_add_epi32(load(c + 8), high_bias), high, zero_point);
    store(b.out + i * b.out_stride + j, _mm_min_epi8(_mm_max_epi8(pack(y0, y1), min), max), count);
  }
}

__m128i scaled_quarter(__m128i sum, __m256d scale) {
  // Adding the largest double below one half, with the sign of x, and cutting off rounds half away
  // from zero; one half itself would carry 0.49999999999999994 to 1.
  const __m256d half = _mm256_set1_pd(0.49999999999999994);
  const __m256d sign = _mm256_set1_pd(-0.0);
  const __m256d x = _mm256_mul_pd(_mm256_cvtepi32_pd(sum), scale);
  return _mm256_cvttpd_epi32(_mm256_add_pd(x, _mm256_or_pd(half, _mm256_and_pd(sign, x))));
}

__m256i scaled_half(__m256i sum, const double* scales) {
  const __m128i low = scaled_quarter(_mm256_castsi256_si128(sum), _mm256_loadu_pd(scales));
  const __m128i high =
      scaled_quarter(_mm256_extracti128_si256(sum, 1), _mm256_loadu_pd(scales + 4));
  return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

}  // namespace

void requantize_s32_s8_1x16_avx2(const RequantizeBlock& b) {
  for (int j = 0; j < b.n; j += 16) {
    switch (rounds_of(b.narrow, b.zero_point, b.min)) {
      case Rounds::anyhow:
        sixteen_columns<Rounds::anyhow>(b, j, b.n - j);
        break;
      case Rounds::narrow:
        sixteen_columns<Rounds::narrow>(b, j, b.n - j);
        break;
      case Rounds::half_up:
        sixteen_columns<Rounds::half_up>(b, j, b.n - j);
        break;
    }
  }
}

void requantize_s32_s8_double_1x16_avx2(const RequantizeBlock& b) {
  const __m256i zero_point = _mm256_set1_epi32(b.zero_point);
  const __m128i min = _mm_set1_epi8(static_cast<char>(b.min));
  const __m128i max = _mm_set1_epi8(static_cast<char>(b.max));
  for (int j = 0; j < b.n; j += 16) {
    const __m256i low_bias = load(b.bias + j), high_bias = load(b.bias + j + 8);
    for (int i = 0; i < b.m; ++i) {
      const int32_t* c = b.c + i * b.c_stride + j;
      const __m256i y0 = scaled_half(_mm256_add_epi32(load(c), low_bias), b.scales + j);
      const __m256i y1 = scaled_half(_mm256_add_epi32(load(c + 8), high_bias), b.scales + j + 8);
      const __m128i bytes =
          pack(_mm256_add_epi32(y0, zero_point), _mm256_add_epi32(y1, zero_point));
      store(b.out + i * b.out_stride + j, _mm_min_epi8(_mm_max_epi8(bytes, min), max), b.n - j);
    }
  }
}

}  // namespace int8x
