// Channels 8 at a time, each in registers over all rows; the last ones one by one.

#include <immintrin.h>

#include "delegate/kernels/observe/leaf.h"

namespace int8x {

void summarize_f32_avx2(const float* x, size_t rows, size_t channels, float* min, float* max,
                        double* sum) {
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
