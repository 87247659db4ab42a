// 16x8 dot products by vpmaddwd, 16 elements at a time.

#include <immintrin.h>

#include <cstring>

#include "delegate/base/inline.h"
#include "delegate/kernels/wide/dot.h"
#include "delegate/kernels/wide/pointwise.h"
#include "delegate/kernels/wide/x86_avx2_words.h"

namespace int8x {
namespace {

struct V {
  static constexpr int kElements = 16;
  using Sums = __m256i;
  using Values = __m256i;
  INT8X_INLINE Sums zero() { return _mm256_setzero_si256(); }
  INT8X_INLINE Values load(const int16_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  INT8X_INLINE Sums add_products(Sums s, Values a, Values b) {
    return _mm256_add_epi32(s, _mm256_madd_epi16(a, b));
  }
  INT8X_INLINE int64_t total(Sums s) {
    const __m256i wide = _mm256_add_epi64(_mm256_cvtepi32_epi64(_mm256_castsi256_si128(s)),
                                          _mm256_cvtepi32_epi64(_mm256_extracti128_si256(s, 1)));
    const __m128i two =
        _mm_add_epi64(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
    return _mm_extract_epi64(two, 0) + _mm_extract_epi64(two, 1);
  }
};

#include "delegate/kernels/wide/dot_tiles.inc"

struct W : avx2::WideWords {
  INT8X_INLINE Words multiply(Words a, Words b) { return _mm256_mullo_epi32(a, b); }
  INT8X_INLINE Words shift_left_15(Words a) { return _mm256_slli_epi32(a, 15); }
  INT8X_INLINE Words load_pairs(const int16_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  INT8X_INLINE Words fill_pairs(int16_t x) { return _mm256_set1_epi16(x); }
  INT8X_INLINE Words pairs_low(Words a, Words b) { return _mm256_unpacklo_epi16(a, b); }
  INT8X_INLINE Words pairs_high(Words a, Words b) { return _mm256_unpackhi_epi16(a, b); }
  INT8X_INLINE Words add_products(Words c, Words a, Words b) {
    return _mm256_add_epi32(c, _mm256_madd_epi16(a, b));
  }
  INT8X_INLINE Words shift_right(Words a, int n) {
    return _mm256_sra_epi32(a, _mm_cvtsi32_si128(n));
  }
  INT8X_INLINE Words bit_and(Words a, Words b) { return _mm256_and_si256(a, b); }
  INT8X_INLINE Words min_unsigned(Words a, Words b) { return _mm256_min_epu32(a, b); }
  INT8X_INLINE bool any_below(Words a, Words b) {  // both below 2^31
    return _mm256_movemask_epi8(_mm256_cmpgt_epi32(b, a)) != 0;
  }
  INT8X_INLINE void store_pairs(int16_t* p, Words a, Words b, int32_t min, int32_t max) {
    const Words least = _mm256_set1_epi16(static_cast<int16_t>(min));
    const Words most = _mm256_set1_epi16(static_cast<int16_t>(max));
    const Words y = _mm256_packs_epi32(a, b);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm256_min_epi16(_mm256_max_epi16(y, least), most));
  }
};

#include "delegate/kernels/wide/binary_rows.inc"
// After binary_rows.inc.
#include "delegate/kernels/wide/add_line.inc"

}  // namespace

void dot_s16_s16_s64_avx2(const WideDot& dot) { run(dot); }

void add_s16_s16_s16_avx2(const WideBinaryParams& p, const int16_t* lhs, int64_t lhs_step,
                          const int16_t* rhs, int64_t rhs_step, int16_t* output, int64_t count) {
  add(p, lhs, lhs_step, rhs, rhs_step, output, count);
}

void mul_s16_s16_s16_avx2(const WideBinaryParams& p, const int16_t* lhs, int64_t lhs_step,
                          const int16_t* rhs, int64_t rhs_step, int16_t* output, int64_t count) {
  binary<true>(p, lhs, lhs_step, rhs, rhs_step, output, count);
}

}  // namespace int8x
