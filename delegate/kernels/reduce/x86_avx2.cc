// Sums for MEAN, 16 columns at a time.

#include <immintrin.h>

#include <cstring>

#include "delegate/base/inline.h"
#include "delegate/fixed_point/vector_avx2.h"
#include "delegate/kernels/reduce/leaf.h"

namespace int8x {
namespace {

struct V {
  static constexpr int kColumns = 16, kNeighbours = 32, kWords = 8;
  using Halves = __m256i;
  using Words = __m256i;
  using Rounding = avx2::Rounding;
  INT8X_INLINE Halves zero_halves() { return _mm256_setzero_si256(); }
  INT8X_INLINE Halves add(Halves sum, const int8_t* p) {
    return _mm256_add_epi16(
        sum, _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  }
  INT8X_INLINE void flush(Halves x, int32_t* sums) {
    __m256i* to = reinterpret_cast<__m256i*>(sums);
    const __m256i low = _mm256_cvtepi16_epi32(_mm256_castsi256_si128(x));
    const __m256i high = _mm256_cvtepi16_epi32(_mm256_extracti128_si256(x, 1));
    _mm256_storeu_si256(to, _mm256_add_epi32(_mm256_loadu_si256(to), low));
    _mm256_storeu_si256(to + 1, _mm256_add_epi32(_mm256_loadu_si256(to + 1), high));
  }

  // vpsadbw sums unsigned bytes: q ^ 0x80 = q + 128, and 128 for each is taken back.
  struct Total {
    __m256i biased;
    int64_t count;
  };
  INT8X_INLINE Total zero_total() { return {_mm256_setzero_si256(), 0}; }
  INT8X_INLINE Total add_total(Total t, const int8_t* p) {
    const __m256i x = _mm256_xor_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)),
                                       _mm256_set1_epi8(-128));
    return {_mm256_add_epi64(t.biased, _mm256_sad_epu8(x, _mm256_setzero_si256())),
            t.count + kNeighbours};
  }
  INT8X_INLINE int32_t reduce(Total t) {
    int64_t parts[4];
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(parts), t.biased);
    return static_cast<int32_t>(parts[0] + parts[1] + parts[2] + parts[3] - 128 * t.count);
  }

  INT8X_INLINE Words load_words(const int32_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  INT8X_INLINE Words fill(int32_t x) { return _mm256_set1_epi32(x); }
  INT8X_INLINE Words plus(Words a, Words b) { return _mm256_add_epi32(a, b); }
  INT8X_INLINE Rounding rounding(Multiplier m) { return avx2::rounding(m); }
  INT8X_INLINE Words full(Words x, const Rounding& r) {
    return avx2::multiply_by_quantized_multiplier(x, r);
  }
  INT8X_INLINE void store(int8_t* p, const Words w[4]) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), avx2::pack_s8(w[0], w[1], w[2], w[3]));
  }
};

#include "delegate/kernels/reduce/sums.inc"

}  // namespace

void mean_s8_s8_avx2_add_rows(const int8_t* input, int64_t rows, int64_t row_stride, int64_t count,
                              int32_t* sums) {
  add_rows(input, rows, row_stride, count, sums);
}

int32_t mean_s8_s8_avx2_sum(const int8_t* input, int64_t count) { return sum(input, count); }

void mean_s8_s8_avx2_finish(const MeanParams& params, const int32_t* sums, int64_t count,
                            int8_t* output) {
  finish(params, sums, count, output);
}

}  // namespace int8x
