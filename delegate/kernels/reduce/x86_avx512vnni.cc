// Sums for MEAN, 32 columns at a time.

#include <cstring>

#include "delegate/base/avx512.h"
#include "delegate/base/inline.h"
#include "delegate/fixed_point/vector_avx512.h"
#include "delegate/kernels/reduce/leaf.h"

namespace int8x {
namespace {

struct V {
  static constexpr int kColumns = 32, kNeighbours = 64, kWords = 16;
  using Halves = __m512i;
  using Words = __m512i;
  using Rounding = avx512::Rounding;
  INT8X_INLINE Halves zero_halves() { return _mm512_setzero_si512(); }
  INT8X_INLINE Halves add(Halves sum, const int8_t* p) {
    return _mm512_add_epi16(
        sum, _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
  }
  INT8X_INLINE void flush(Halves x, int32_t* sums) {
    const __m512i low = _mm512_cvtepi16_epi32(_mm512_castsi512_si256(x));
    const __m512i high = _mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(x, 1));
    _mm512_storeu_si512(sums, _mm512_add_epi32(_mm512_loadu_si512(sums), low));
    _mm512_storeu_si512(sums + 16, _mm512_add_epi32(_mm512_loadu_si512(sums + 16), high));
  }

  // vpsadbw sums unsigned bytes: q ^ 0x80 = q + 128, and 128 for each is taken back.
  struct Total {
    __m512i biased;
    int64_t count;
  };
  INT8X_INLINE Total zero_total() { return {_mm512_setzero_si512(), 0}; }
  INT8X_INLINE Total add_total(Total t, const int8_t* p) {
    const __m512i x = _mm512_xor_si512(_mm512_loadu_si512(p), _mm512_set1_epi8(-128));
    return {_mm512_add_epi64(t.biased, _mm512_sad_epu8(x, _mm512_setzero_si512())),
            t.count + kNeighbours};
  }
  INT8X_INLINE int32_t reduce(Total t) {
    return static_cast<int32_t>(_mm512_reduce_add_epi64(t.biased) - 128 * t.count);
  }

  INT8X_INLINE Words load_words(const int32_t* p) { return _mm512_loadu_si512(p); }
  INT8X_INLINE Words fill(int32_t x) { return _mm512_set1_epi32(x); }
  INT8X_INLINE Words plus(Words a, Words b) { return _mm512_add_epi32(a, b); }
  INT8X_INLINE Rounding rounding(Multiplier m) { return avx512::rounding(m); }
  INT8X_INLINE Words full(Words x, const Rounding& r) {
    return avx512::multiply_by_quantized_multiplier(x, r);
  }
  INT8X_INLINE void store(int8_t* p, const Words w[4]) {
    _mm512_storeu_si512(p, avx512::pack_s8(w[0], w[1], w[2], w[3]));
  }
};

#include "delegate/kernels/reduce/sums.inc"

}  // namespace

void mean_s8_s8_avx512vnni_add_rows(const int8_t* input, int64_t rows, int64_t row_stride,
                                    int64_t count, int32_t* sums) {
  add_rows(input, rows, row_stride, count, sums);
}

int32_t mean_s8_s8_avx512vnni_sum(const int8_t* input, int64_t count) { return sum(input, count); }

void mean_s8_s8_avx512vnni_finish(const MeanParams& params, const int32_t* sums, int64_t count,
                                  int8_t* output) {
  finish(params, sums, count, output);
}

}  // namespace int8x
