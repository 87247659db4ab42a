// 16x8 dot products by vpdpwssd, 32 elements at a time.

#include <cstring>

#include "delegate/base/avx512.h"
#include "delegate/base/inline.h"
#include "delegate/kernels/wide/dot.h"
#include "delegate/kernels/wide/pointwise.h"
#include "delegate/kernels/wide/x86_avx512vnni_words.h"

namespace int8x {
namespace {

struct V {
  static constexpr int kElements = 32;
  using Sums = __m512i;
  using Values = __m512i;
  INT8X_INLINE Sums zero() { return _mm512_setzero_si512(); }
  INT8X_INLINE Values load(const int16_t* p) { return _mm512_loadu_si512(p); }
  INT8X_INLINE Sums add_products(Sums s, Values a, Values b) {
    return _mm512_dpwssd_epi32(s, a, b);
  }
  INT8X_INLINE int64_t total(Sums s) {
    return _mm512_reduce_add_epi64(
        _mm512_add_epi64(_mm512_cvtepi32_epi64(_mm512_castsi512_si256(s)),
                         _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64(s, 1))));
  }
};

#include "delegate/kernels/wide/dot_tiles.inc"

struct W : avx512::WideWords {
  INT8X_INLINE Words multiply(Words a, Words b) { return _mm512_mullo_epi32(a, b); }
  INT8X_INLINE Words shift_left_15(Words a) { return _mm512_slli_epi32(a, 15); }
  INT8X_INLINE Words load_pairs(const int16_t* p) { return _mm512_loadu_si512(p); }
  INT8X_INLINE Words fill_pairs(int16_t x) { return _mm512_set1_epi16(x); }
  INT8X_INLINE Words pairs_low(Words a, Words b) { return _mm512_unpacklo_epi16(a, b); }
  INT8X_INLINE Words pairs_high(Words a, Words b) { return _mm512_unpackhi_epi16(a, b); }
  INT8X_INLINE Words add_products(Words c, Words a, Words b) {
    return _mm512_dpwssd_epi32(c, a, b);
  }
  INT8X_INLINE Words shift_right(Words a, int n) {
    return _mm512_sra_epi32(a, _mm_cvtsi32_si128(n));
  }
  INT8X_INLINE Words bit_and(Words a, Words b) { return _mm512_and_si512(a, b); }
  INT8X_INLINE Words min_unsigned(Words a, Words b) { return _mm512_min_epu32(a, b); }
  INT8X_INLINE bool any_below(Words a, Words b) { return _mm512_cmplt_epu32_mask(a, b) != 0; }
  INT8X_INLINE void store_pairs(int16_t* p, Words a, Words b, int32_t min, int32_t max) {
    const Words least = _mm512_set1_epi16(static_cast<int16_t>(min));
    const Words most = _mm512_set1_epi16(static_cast<int16_t>(max));
    const Words y = _mm512_packs_epi32(a, b);
    _mm512_storeu_si512(p, _mm512_min_epi16(_mm512_max_epi16(y, least), most));
  }
};

#include "delegate/kernels/wide/binary_rows.inc"
// After binary_rows.inc.
#include "delegate/kernels/wide/add_line.inc"

}  // namespace

void dot_s16_s16_s64_avx512vnni(const WideDot& dot) { run(dot); }

void add_s16_s16_s16_avx512vnni(const WideBinaryParams& p, const int16_t* lhs, int64_t lhs_step,
                                const int16_t* rhs, int64_t rhs_step, int16_t* output,
                                int64_t count) {
  add(p, lhs, lhs_step, rhs, rhs_step, output, count);
}

void mul_s16_s16_s16_avx512vnni(const WideBinaryParams& p, const int16_t* lhs, int64_t lhs_step,
                                const int16_t* rhs, int64_t rhs_step, int16_t* output,
                                int64_t count) {
  binary<true>(p, lhs, lhs_step, rhs, rhs_step, output, count);
}

}  // namespace int8x
