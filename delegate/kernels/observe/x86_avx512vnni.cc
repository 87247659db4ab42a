// Channels 16 at a time, each in registers over all rows; the last ones behind a mask.

#include "delegate/base/avx512.h"
#include "delegate/base/inline.h"
#include "delegate/kernels/observe/leaf.h"

namespace int8x {
namespace {

// The mask of the last, short step.
INT8X_INLINE __mmask16 first(size_t count) {
  return static_cast<__mmask16>(count >= 16 ? 0xffff : (1u << count) - 1);
}

// One channel: rows in any order where that changes no bit of the sum.
void summarize_one(const float* x, size_t n, float* min, float* max, double* sum) {
  __m512 least = _mm512_set1_ps(*min), most = _mm512_set1_ps(*max);
  __m512i smallest = _mm512_set1_epi32(-1), largest = _mm512_setzero_si512();
  __m512d sum0 = _mm512_setzero_pd(), sum1 = _mm512_setzero_pd();
  for (size_t i = 0; i < n; i += 16) {
    const __mmask16 mask = first(n - i);
    const __m512 v = _mm512_maskz_loadu_ps(mask, x + i);
    const __m512i size = _mm512_and_si512(_mm512_castps_si512(v), _mm512_set1_epi32(0x7fffffff));
    least = _mm512_mask_min_ps(least, mask, v, least);
    most = _mm512_mask_max_ps(most, mask, v, most);
    // Minus 1, zero is the largest of all: it sets no smallest size.
    smallest = _mm512_min_epu32(smallest, _mm512_sub_epi32(size, _mm512_set1_epi32(1)));
    largest = _mm512_max_epu32(largest, size);
    sum0 = _mm512_add_pd(sum0, _mm512_cvtps_pd(_mm512_castps512_ps256(v)));
    sum1 = _mm512_add_pd(sum1, _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1)));
  }
  *min = _mm512_reduce_min_ps(least);
  *max = _mm512_reduce_max_ps(most);
  if (sums_exactly(_mm512_reduce_min_epu32(smallest) + 1, _mm512_reduce_max_epu32(largest), n,
                   *sum)) {
    *sum += _mm512_reduce_add_pd(_mm512_add_pd(sum0, sum1));
    return;
  }
  double total = *sum;
  for (size_t i = 0; i < n; ++i) total += x[i];
  *sum = total;
}

}  // namespace

void summarize_f32_avx512vnni(const float* x, size_t rows, size_t channels, float* min, float* max,
                              double* sum) {
  if (channels == 1) return summarize_one(x, rows, min, max, sum);
  for (size_t c = 0; c < channels; c += 16) {
    const __mmask16 mask = first(channels - c);
    const __mmask8 low = static_cast<__mmask8>(mask), high = static_cast<__mmask8>(mask >> 8);
    __m512 least = _mm512_maskz_loadu_ps(mask, min + c);
    __m512 most = _mm512_maskz_loadu_ps(mask, max + c);
    __m512d sum0 = _mm512_maskz_loadu_pd(low, sum + c);
    __m512d sum1 = _mm512_maskz_loadu_pd(high, sum + c + 8);
    for (size_t r = 0; r < rows; ++r) {
      const float* row = x + r * channels + c;
      const __m512 v = _mm512_maskz_loadu_ps(mask, row);
      least = _mm512_min_ps(v, least);  // v < least ? v : least, also for NaN and -0
      most = _mm512_max_ps(v, most);
      // Loaded again, which costs less than taking v apart.
      sum0 = _mm512_add_pd(sum0, _mm512_cvtps_pd(_mm256_maskz_loadu_ps(low, row)));
      sum1 = _mm512_add_pd(sum1, _mm512_cvtps_pd(_mm256_maskz_loadu_ps(high, row + 8)));
    }
    _mm512_mask_storeu_ps(min + c, mask, least);
    _mm512_mask_storeu_ps(max + c, mask, most);
    _mm512_mask_storeu_pd(sum + c, low, sum0);
    _mm512_mask_storeu_pd(sum + c + 8, high, sum1);
  }
}

size_t upper_halves_f32_u16_avx512vnni(const float* x, size_t n, uint16_t* halves) {
  size_t count = 0;
  for (size_t i = 0; i < n; i += 16) {
    const __m512i bits = _mm512_maskz_loadu_epi32(first(n - i), x + i);
    const __m512i upper = _mm512_srli_epi32(bits, 16);
    const __mmask16 kept = _mm512_test_epi32_mask(upper, upper);
    // A whole store, whose rest the next one overwrites, is much faster than a compressing one.
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(halves + count),
                        _mm512_cvtepi32_epi16(_mm512_maskz_compress_epi32(kept, upper)));
    count += static_cast<size_t>(__builtin_popcount(kept));
  }
  return count;
}

}  // namespace int8x
