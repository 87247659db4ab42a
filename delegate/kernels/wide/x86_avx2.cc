// 16x8 dot products by vpmaddwd, 16 elements at a time.

#include <immintrin.h>

#include <cstring>

#include "delegate/fixed_point/vector_avx2.h"
#include "delegate/kernels/wide/dot.h"
#include "delegate/kernels/wide/pointwise.h"

namespace int8x {
namespace {

#define LEAF_INLINE static inline __attribute__((always_inline))
#define LEAF_MEMBER inline __attribute__((always_inline))
#define LEAF_LAMBDA __attribute__((always_inline))

struct V {
  static constexpr int kElements = 16;
  using Sums = __m256i;
  using Values = __m256i;
  static LEAF_MEMBER Sums zero() { return _mm256_setzero_si256(); }
  static LEAF_MEMBER Values load(const int16_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static LEAF_MEMBER Sums add_products(Sums s, Values a, Values b) {
    return _mm256_add_epi32(s, _mm256_madd_epi16(a, b));
  }
  static LEAF_MEMBER int64_t total(Sums s) {
    const __m256i wide = _mm256_add_epi64(_mm256_cvtepi32_epi64(_mm256_castsi256_si128(s)),
                                          _mm256_cvtepi32_epi64(_mm256_extracti128_si256(s, 1)));
    const __m128i two =
        _mm_add_epi64(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
    return _mm_extract_epi64(two, 0) + _mm_extract_epi64(two, 1);
  }
};

#include "delegate/kernels/wide/dot_tiles.inc"

struct W {
  static constexpr int kWords = 8;
  using Words = __m256i;
  using Rounding = avx2::Rounding;
  static LEAF_MEMBER Words load(const int16_t* p) {
    return _mm256_cvtepi16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static LEAF_MEMBER Words fill(int32_t x) { return _mm256_set1_epi32(x); }
  static LEAF_MEMBER Words add(Words a, Words b) { return _mm256_add_epi32(a, b); }
  static LEAF_MEMBER Words multiply(Words a, Words b) { return _mm256_mullo_epi32(a, b); }
  static LEAF_MEMBER Words shift_left_15(Words a) { return _mm256_slli_epi32(a, 15); }
  static LEAF_MEMBER Rounding rounding(Multiplier m) { return avx2::rounding(m); }
  static LEAF_MEMBER Words full(Words x, const Rounding& r) {
    return avx2::multiply_by_quantized_multiplier(x, r);
  }
  static LEAF_MEMBER void store(int16_t* p, Words x, int32_t min, int32_t max) {
    const Words y = _mm256_min_epi32(_mm256_max_epi32(x, fill(min)), fill(max));
    const Words halves = _mm256_permute4x64_epi64(_mm256_packs_epi32(y, y), 0x88);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_castsi256_si128(halves));
  }
};

#include "delegate/kernels/wide/binary_rows.inc"

}  // namespace

void dot_s16_s16_s64_avx2(const WideDot& dot) { run(dot); }

void add_s16_s16_s16_avx2(const WideBinaryParams& p, const int16_t* lhs, int64_t lhs_step,
                          const int16_t* rhs, int64_t rhs_step, int16_t* output, int64_t count) {
  binary<false>(p, lhs, lhs_step, rhs, rhs_step, output, count);
}

void mul_s16_s16_s16_avx2(const WideBinaryParams& p, const int16_t* lhs, int64_t lhs_step,
                          const int16_t* rhs, int64_t rhs_step, int16_t* output, int64_t count) {
  binary<true>(p, lhs, lhs_step, rhs, rhs_step, output, count);
}

}  // namespace int8x
