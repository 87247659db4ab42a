// ADD, MUL and their kin on 32 bytes at a time.

#include <immintrin.h>

#include <cstring>

#include "delegate/fixed_point/vector_avx2.h"
#include "delegate/kernels/elementwise/leaf.h"

namespace int8x {
namespace {

#define LEAF_INLINE static inline __attribute__((always_inline))
#define LEAF_MEMBER inline __attribute__((always_inline))
#define LEAF_LAMBDA __attribute__((always_inline))

struct V {
  static constexpr int kWords = 8;
  using Words = __m256i;
  using Rounding = avx2::Rounding;
  static LEAF_MEMBER Words load(const int8_t* p) {
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
  static LEAF_MEMBER Words fill(int32_t x) { return _mm256_set1_epi32(x); }
  static LEAF_MEMBER Words add(Words a, Words b) { return _mm256_add_epi32(a, b); }
  static LEAF_MEMBER Words subtract(Words a, Words b) { return _mm256_sub_epi32(a, b); }
  // Both lie within int16, so the upper halves are signs: vpmaddwd on the lower ones alone.
  static LEAF_MEMBER Words multiply(Words a, Words b) {
    return _mm256_madd_epi16(a, _mm256_and_si256(b, _mm256_set1_epi32(0xffff)));
  }
  template <int n>
  static LEAF_MEMBER Words shift_left(Words a) {
    return _mm256_slli_epi32(a, n);
  }
  static LEAF_MEMBER Rounding rounding(Multiplier m) { return avx2::rounding(m); }
  static LEAF_MEMBER Words narrow(Words x, const Rounding& r) {
    return avx2::multiply_narrow(x, r);
  }
  static LEAF_MEMBER Rounding half_up(const Rounding& r) { return avx2::half_up(r); }
  static LEAF_MEMBER Words narrow_half_up(Words x, const Rounding& r) {
    return avx2::multiply_half_up_biased(_mm256_xor_si256(x, _mm256_set1_epi32(INT32_MIN)), r);
  }
  static LEAF_MEMBER Words product(Words x, Words y) { return _mm256_mullo_epi32(x, y); }
  template <int n>
  static LEAF_MEMBER Words shift_right(Words x) {
    return _mm256_srai_epi32(x, n);
  }
  static LEAF_MEMBER Words shift_right_by(Words x, Words n) { return _mm256_srav_epi32(x, n); }
  static LEAF_MEMBER Words full(Words x, const Rounding& r) {
    return avx2::multiply_by_quantized_multiplier(x, r);
  }
  static LEAF_MEMBER void store(int8_t* p, const Words w[4], int32_t min, int32_t max) {
    const __m256i bytes = avx2::pack_s8(w[0], w[1], w[2], w[3]);
    const __m256i low = _mm256_set1_epi8(static_cast<char>(min));
    const __m256i high = _mm256_set1_epi8(static_cast<char>(max));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm256_min_epi8(_mm256_max_epi8(bytes, low), high));
  }
  static LEAF_MEMBER Words square(Words a) { return _mm256_mullo_epi32(a, a); }
  static LEAF_MEMBER Words select_negative(Words x, Words a, Words b) {
    return _mm256_castps_si256(
        _mm256_blendv_ps(_mm256_castsi256_ps(b), _mm256_castsi256_ps(a), _mm256_castsi256_ps(x)));
  }
  using Bytes = __m256i;
  static LEAF_MEMBER Bytes load_bytes(const int8_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static LEAF_MEMBER Bytes fill_bytes(int8_t x) { return _mm256_set1_epi8(x); }
  static LEAF_MEMBER Bytes max_bytes(Bytes a, Bytes b) { return _mm256_max_epi8(a, b); }
  static LEAF_MEMBER Bytes min_bytes(Bytes a, Bytes b) { return _mm256_min_epi8(a, b); }
  static LEAF_MEMBER void store_bytes(int8_t* p, Bytes x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x);
  }
  static LEAF_MEMBER Bytes pairs_low(Bytes a, Bytes b) { return _mm256_unpacklo_epi8(a, b); }
  static LEAF_MEMBER Bytes pairs_high(Bytes a, Bytes b) { return _mm256_unpackhi_epi8(a, b); }
  static LEAF_MEMBER Words words_low(Bytes x) {
    return _mm256_unpacklo_epi8(_mm256_setzero_si256(), x);
  }
  static LEAF_MEMBER Words words_high(Bytes x) {
    return _mm256_unpackhi_epi8(_mm256_setzero_si256(), x);
  }
  static LEAF_MEMBER Words add_products(Words c, Words x, Words y) {
    return _mm256_add_epi32(c, _mm256_madd_epi16(x, y));
  }
  static LEAF_MEMBER Bytes pack(const Words w[4]) {
    return _mm256_packs_epi16(_mm256_packs_epi32(w[0], w[1]), _mm256_packs_epi32(w[2], w[3]));
  }
};

#include "delegate/kernels/elementwise/rows.inc"
// builds on it:
#include "delegate/kernels/elementwise/add_line.inc"
#include "delegate/kernels/elementwise/binary_rows.inc"

}  // namespace

void add_s8_s8_s8_avx2(const AddParams& p, const int8_t* lhs, int64_t lhs_step, const int8_t* rhs,
                       int64_t rhs_step, int8_t* output, int64_t count) {
  if (p.line.exact) {
    add_line(p, lhs, lhs_step, rhs, rhs_step, output, count);
  } else {
    add(p, lhs, lhs_step, rhs, rhs_step, output, count);
  }
}

void mul_s8_s8_s8_avx2(const MulParams& p, const int8_t* lhs, int64_t lhs_step, const int8_t* rhs,
                       int64_t rhs_step, int8_t* output, int64_t count) {
  mul(p, lhs, lhs_step, rhs, rhs_step, output, count);
}

void maximum_s8_s8_s8_avx2(const BinaryParams& p, const int8_t* lhs, int64_t lhs_step,
                           const int8_t* rhs, int64_t rhs_step, int8_t* output, int64_t count) {
  extremum<true>(p, lhs, lhs_step, rhs, rhs_step, output, count);
}

void minimum_s8_s8_s8_avx2(const BinaryParams& p, const int8_t* lhs, int64_t lhs_step,
                           const int8_t* rhs, int64_t rhs_step, int8_t* output, int64_t count) {
  extremum<false>(p, lhs, lhs_step, rhs, rhs_step, output, count);
}

void squared_difference_s8_s8_s8_avx2(const BinaryParams& p, const int8_t* lhs, int64_t lhs_step,
                                      const int8_t* rhs, int64_t rhs_step, int8_t* output,
                                      int64_t count) {
  squared_difference(p, lhs, lhs_step, rhs, rhs_step, output, count);
}

void prelu_s8_s8_s8_avx2(const BinaryParams& p, const int8_t* lhs, int64_t lhs_step,
                         const int8_t* rhs, int64_t rhs_step, int8_t* output, int64_t count) {
  prelu(p, lhs, lhs_step, rhs, rhs_step, output, count);
}

}  // namespace int8x
