// Channels 8 at a time, each in registers over all rows; the last ones one by one.

#include <immintrin.h>

#include "delegate/kernels/observe/leaf.h"

namespace int8x {
namespace {

// One channel: rows in any order where that changes no bit of the sum.
void summarize_one(const float* x, size_t n, float* min, float* max, double* sum) {
  __m256 least = _mm256_set1_ps(*min), most = _mm256_set1_ps(*max);
  __m256i smallest = _mm256_set1_epi32(-1), largest = _mm256_setzero_si256();
  __m256d sum0 = _mm256_setzero_pd(), sum1 = _mm256_setzero_pd();
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m256 v = _mm256_loadu_ps(x + i);
    const __m256i size = _mm256_and_si256(_mm256_castps_si256(v), _mm256_set1_epi32(0x7fffffff));
    least = _mm256_min_ps(v, least);
    most = _mm256_max_ps(v, most);
    // Minus 1, zero is the largest of all: it sets no smallest size.
    smallest = _mm256_min_epu32(smallest, _mm256_sub_epi32(size, _mm256_set1_epi32(1)));
    largest = _mm256_max_epu32(largest, size);
    sum0 = _mm256_add_pd(sum0, _mm256_cvtps_pd(_mm256_castps256_ps128(v)));
    sum1 = _mm256_add_pd(sum1, _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1)));
  }
  float lows[8], highs[8];
  uint32_t small[8], large[8];
  double sums[4];
  _mm256_storeu_ps(lows, least);
  _mm256_storeu_ps(highs, most);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(small), smallest);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(large), largest);
  _mm256_storeu_pd(sums, _mm256_add_pd(sum0, sum1));
  for (int k = 0; k < 8; ++k) {
    *min = lows[k] < *min ? lows[k] : *min;
    *max = highs[k] > *max ? highs[k] : *max;
    small[0] = small[k] < small[0] ? small[k] : small[0];
    large[0] = large[k] > large[0] ? large[k] : large[0];
  }
  double total = *sum;
  if (sums_exactly(small[0] + 1, large[0], i, total)) {
    total += sums[0] + sums[1] + sums[2] + sums[3];
  } else {
    for (size_t k = 0; k < i; ++k) total += x[k];
  }
  for (; i < n; ++i) {
    *min = x[i] < *min ? x[i] : *min;
    *max = x[i] > *max ? x[i] : *max;
    total += x[i];
  }
  *sum = total;
}

}  // namespace

void summarize_f32_avx2(const float* x, size_t rows, size_t channels, float* min, float* max,
                        double* sum) {
  if (channels == 1) return summarize_one(x, rows, min, max, sum);
  size_t c = 0;
  for (; c + 8 <= channels; c += 8) {
    __m256 least = _mm256_loadu_ps(min + c), most = _mm256_loadu_ps(max + c);
    __m256d sum0 = _mm256_loadu_pd(sum + c), sum1 = _mm256_loadu_pd(sum + c + 4);
    for (size_t r = 0; r < rows; ++r) {
      const __m256 v = _mm256_loadu_ps(x + r * channels + c);
      least = _mm256_min_ps(v, least);  // v < least ? v : least, also for NaN and -0
      most = _mm256_max_ps(v, most);
      sum0 = _mm256_add_pd(sum0, _mm256_cvtps_pd(_mm256_castps256_ps128(v)));
      sum1 = _mm256_add_pd(sum1, _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1)));
    }
    _mm256_storeu_ps(min + c, least);
    _mm256_storeu_ps(max + c, most);
    _mm256_storeu_pd(sum + c, sum0);
    _mm256_storeu_pd(sum + c + 4, sum1);
  }
  for (; c < channels; ++c) {
    for (size_t r = 0; r < rows; ++r) {
      const float v = x[r * channels + c];
      min[c] = v < min[c] ? v : min[c];
      max[c] = v > max[c] ? v : max[c];
      sum[c] += v;
    }
  }
}

}  // namespace int8x
