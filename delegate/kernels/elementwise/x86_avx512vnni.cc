// ADD, MUL and their kin on 64 bytes at a time.

#include <cstring>

#include "delegate/base/avx512.h"
#include "delegate/base/inline.h"
#include "delegate/fixed_point/vector_avx512.h"
#include "delegate/kernels/elementwise/leaf.h"

namespace int8x {
namespace {

struct V {
  static constexpr int kWords = 16;
  using Words = __m512i;
  using Rounding = avx512::Rounding;
  INT8X_INLINE Words load(const int8_t* p) {
    return _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  INT8X_INLINE Words fill(int32_t x) { return _mm512_set1_epi32(x); }
  INT8X_INLINE Words add(Words a, Words b) { return _mm512_add_epi32(a, b); }
  INT8X_INLINE Words subtract(Words a, Words b) { return _mm512_sub_epi32(a, b); }
  // Both lie within int16, so the upper halves are signs: vpmaddwd on the lower ones alone.
  INT8X_INLINE Words multiply(Words a, Words b) {
    return _mm512_madd_epi16(a, _mm512_and_si512(b, _mm512_set1_epi32(0xffff)));
  }
  template <int n>
  INT8X_INLINE Words shift_left(Words a) {
    return _mm512_slli_epi32(a, n);
  }
  INT8X_INLINE Rounding rounding(Multiplier m) { return avx512::rounding(m); }
  INT8X_INLINE Words narrow(Words x, const Rounding& r) { return avx512::multiply_narrow(x, r); }
  INT8X_INLINE Rounding half_up(const Rounding& r) { return avx512::half_up(r); }
  INT8X_INLINE Words narrow_half_up(Words x, const Rounding& r) {
    return avx512::multiply_half_up_biased(_mm512_xor_si512(x, _mm512_set1_epi32(INT32_MIN)), r);
  }
  INT8X_INLINE Words product(Words x, Words y) { return _mm512_mullo_epi32(x, y); }
  template <int n>
  INT8X_INLINE Words shift_right(Words x) {
    return _mm512_srai_epi32(x, n);
  }
  INT8X_INLINE Words shift_right_by(Words x, Words n) { return _mm512_srav_epi32(x, n); }
  INT8X_INLINE Words full(Words x, const Rounding& r) {
    return avx512::multiply_by_quantized_multiplier(x, r);
  }
  INT8X_INLINE void store(int8_t* p, const Words w[4], int32_t min, int32_t max) {
    const __m512i bytes = avx512::pack_s8(w[0], w[1], w[2], w[3]);
    const __m512i low = _mm512_set1_epi8(static_cast<char>(min));
    const __m512i high = _mm512_set1_epi8(static_cast<char>(max));
    _mm512_storeu_si512(p, _mm512_min_epi8(_mm512_max_epi8(bytes, low), high));
  }
  INT8X_INLINE Words square(Words a) { return _mm512_mullo_epi32(a, a); }
  INT8X_INLINE Words select_negative(Words x, Words a, Words b) {
    return _mm512_mask_mov_epi32(b, _mm512_movepi32_mask(x), a);
  }
  using Bytes = __m512i;
  INT8X_INLINE Bytes load_bytes(const int8_t* p) { return _mm512_loadu_si512(p); }
  INT8X_INLINE Bytes fill_bytes(int8_t x) { return _mm512_set1_epi8(x); }
  INT8X_INLINE Bytes max_bytes(Bytes a, Bytes b) { return _mm512_max_epi8(a, b); }
  INT8X_INLINE Bytes min_bytes(Bytes a, Bytes b) { return _mm512_min_epi8(a, b); }
  INT8X_INLINE void store_bytes(int8_t* p, Bytes x) { _mm512_storeu_si512(p, x); }
  INT8X_INLINE Bytes pairs_low(Bytes a, Bytes b) { return _mm512_unpacklo_epi8(a, b); }
  INT8X_INLINE Bytes pairs_high(Bytes a, Bytes b) { return _mm512_unpackhi_epi8(a, b); }
  INT8X_INLINE Words words_low(Bytes x) { return _mm512_unpacklo_epi8(_mm512_setzero_si512(), x); }
  INT8X_INLINE Words words_high(Bytes x) { return _mm512_unpackhi_epi8(_mm512_setzero_si512(), x); }
  INT8X_INLINE Words add_products(Words c, Words x, Words y) {
    return _mm512_dpwssd_epi32(c, x, y);
  }
  INT8X_INLINE Bytes pack(const Words w[4]) {
    return _mm512_packs_epi16(_mm512_packs_epi32(w[0], w[1]), _mm512_packs_epi32(w[2], w[3]));
  }
};

#include "delegate/kernels/elementwise/rows.inc"
// builds on it:
#include "delegate/kernels/elementwise/add_line.inc"
#include "delegate/kernels/elementwise/binary_rows.inc"

}  // namespace

void add_s8_s8_s8_avx512vnni(const AddParams& p, const int8_t* lhs, int64_t lhs_step,
                             const int8_t* rhs, int64_t rhs_step, int8_t* output, int64_t count) {
  if (p.line.exact) {
    add_line(p, lhs, lhs_step, rhs, rhs_step, output, count);
  } else {
    add(p, lhs, lhs_step, rhs, rhs_step, output, count);
  }
}

void mul_s8_s8_s8_avx512vnni(const MulParams& p, const int8_t* lhs, int64_t lhs_step,
                             const int8_t* rhs, int64_t rhs_step, int8_t* output, int64_t count) {
  mul(p, lhs, lhs_step, rhs, rhs_step, output, count);
}

void maximum_s8_s8_s8_avx512vnni(const BinaryParams& p, const int8_t* lhs, int64_t lhs_step,
                                 const int8_t* rhs, int64_t rhs_step, int8_t* output,
                                 int64_t count) {
  extremum<true>(p, lhs, lhs_step, rhs, rhs_step, output, count);
}

void minimum_s8_s8_s8_avx512vnni(const BinaryParams& p, const int8_t* lhs, int64_t lhs_step,
                                 const int8_t* rhs, int64_t rhs_step, int8_t* output,
                                 int64_t count) {
  extremum<false>(p, lhs, lhs_step, rhs, rhs_step, output, count);
}

void squared_difference_s8_s8_s8_avx512vnni(const BinaryParams& p, const int8_t* lhs,
                                            int64_t lhs_step, const int8_t* rhs, int64_t rhs_step,
                                            int8_t* output, int64_t count) {
  squared_difference(p, lhs, lhs_step, rhs, rhs_step, output, count);
}

void prelu_s8_s8_s8_avx512vnni(const BinaryParams& p, const int8_t* lhs, int64_t lhs_step,
                               const int8_t* rhs, int64_t rhs_step, int8_t* output, int64_t count) {
  prelu(p, lhs, lhs_step, rhs, rhs_step, output, count);
}

}  // namespace int8x
