// 16x8 dot products by vpdpwssd, 32 elements at a time.

// GCC 12 says so of its own AVX-512 header.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

#include <immintrin.h>

#include <cstring>

#include "delegate/kernels/wide/dot.h"
#include "delegate/kernels/wide/pointwise.h"
#include "delegate/kernels/wide/x86_avx512vnni_words.h"

namespace int8x {
namespace {

#define LEAF_INLINE static inline __attribute__((always_inline))
#define LEAF_MEMBER inline __attribute__((always_inline))
#define LEAF_LAMBDA __attribute__((always_inline))

struct V {
  static constexpr int kElements = 32;
  using Sums = __m512i;
  using Values = __m512i;
  static LEAF_MEMBER Sums zero() { return _mm512_setzero_si512(); }
  static LEAF_MEMBER Values load(const int16_t* p) { return _mm512_loadu_si512(p); }
  static LEAF_MEMBER Sums add_products(Sums s, Values a, Values b) {
    return _mm512_dpwssd_epi32(s, a, b);
  }
  static LEAF_MEMBER int64_t total(Sums s) {
    return _mm512_reduce_add_epi64(
        _mm512_add_epi64(_mm512_cvtepi32_epi64(_mm512_castsi512_si256(s)),
                         _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64(s, 1))));
  }
};

#include "delegate/kernels/wide/dot_tiles.inc"

struct W : avx512::WideWords {
  static LEAF_MEMBER Words multiply(Words a, Words b) { return _mm512_mullo_epi32(a, b); }
  static LEAF_MEMBER Words shift_left_15(Words a) { return _mm512_slli_epi32(a, 15); }
  static LEAF_MEMBER Words load_pairs(const int16_t* p) { return _mm512_loadu_si512(p); }
  static LEAF_MEMBER Words fill_pairs(int16_t x) { return _mm512_set1_epi16(x); }
  static LEAF_MEMBER Words pairs_low(Words a, Words b) { return _mm512_unpacklo_epi16(a, b); }
  static LEAF_MEMBER Words pairs_high(Words a, Words b) { return _mm512_unpackhi_epi16(a, b); }
  static LEAF_MEMBER Words add_products(Words c, Words a, Words b) {
    return _mm512_dpwssd_epi32(c, a, b);
  }
  static LEAF_MEMBER Words shift_right(Words a, int n) {
    return _mm512_sra_epi32(a, _mm_cvtsi32_si128(n));
  }
  static LEAF_MEMBER Words bit_and(Words a, Words b) { return _mm512_and_si512(a, b); }
  static LEAF_MEMBER Words min_unsigned(Words a, Words b) { return _mm512_min_epu32(a, b); }
  static LEAF_MEMBER bool any_below(Words a, Words b) { return _mm512_cmplt_epu32_mask(a, b) != 0; }
  static LEAF_MEMBER void store_pairs(int16_t* p, Words a, Words b, int32_t min, int32_t max) {
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
