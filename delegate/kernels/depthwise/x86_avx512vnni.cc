// Quads of four unsigned pixels times four signed weights: vpdpbusd on 16 channels of a register.

#include <cstring>

#include "delegate/base/avx512.h"
#include "delegate/base/inline.h"
#include "delegate/kernels/depthwise/leaf.h"
#include "delegate/kernels/depthwise/quads.h"

namespace int8x {
namespace {

struct V {
  static constexpr int kLanes = 4;
  static constexpr bool kWideWeights = false;
  static constexpr quads::Rounding kRounding = quads::Rounding::high_half;
  using Bytes = __m512i;
  using Words = __m512i;
  using Halves = __m512i;
  using Weights = __m512i;
  using Tail = __mmask64;
  struct Limits {
    __m512i min, max;
  };
  struct Constants {
    __m512i twice_even, twice_odd, offset_even, offset_odd, right, sign_shift;
  };

  static Tail tail(int channels) { return ~__mmask64{0} >> (64 - channels); }
  static Limits limits(int32_t, int32_t min, int32_t max) {
    return {_mm512_set1_epi8(static_cast<char>(min)), _mm512_set1_epi8(static_cast<char>(max))};
  }

  // vpdpbusd wants the pixels unsigned: q ^ 0x80 = q + 128, which the folded bias takes back.
  static int stored(int8_t q) { return q ^ 0x80; }

  template <int groups, bool full>
  INT8X_INLINE Bytes load(const int8_t* const* p, Tail tail) {
    const __m512i flip = _mm512_set1_epi8(-128);
    if constexpr (groups == 4) {
      const __m512i all = full ? _mm512_loadu_si512(p[0]) : _mm512_maskz_loadu_epi8(tail, p[0]);
      return _mm512_xor_si512(all, flip);
    } else if constexpr (groups == 2) {
      const __m512i low = _mm512_castsi256_si512(load32<full>(p[0], tail));
      return _mm512_xor_si512(_mm512_inserti64x4(low, load32<full>(p[1], tail), 1), flip);
    } else {
      const __m256i low = _mm256_castsi128_si256(load16<full>(p[0], tail));
      const __m256i high = _mm256_castsi128_si256(load16<full>(p[2], tail));
      const __m512i both =
          _mm512_castsi256_si512(_mm256_inserti128_si256(low, load16<full>(p[1], tail), 1));
      return _mm512_xor_si512(
          _mm512_inserti64x4(both, _mm256_inserti128_si256(high, load16<full>(p[3], tail), 1), 1),
          flip);
    }
  }
  template <bool full>
  INT8X_INLINE __m256i load32(const int8_t* p, Tail tail) {
    return full ? _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))
                : _mm256_maskz_loadu_epi8(static_cast<__mmask32>(tail), p);
  }
  template <bool full>
  INT8X_INLINE __m128i load16(const int8_t* p, Tail tail) {
    return full ? _mm_loadu_si128(reinterpret_cast<const __m128i*>(p))
                : _mm_maskz_loadu_epi8(static_cast<__mmask16>(tail), p);
  }

  template <int groups>
  INT8X_INLINE void store(int8_t* p, Tail tail, int set, Bytes bytes) {
    if constexpr (groups == 4) {
      _mm512_mask_storeu_epi8(p, tail, bytes);
    } else if constexpr (groups == 2) {
      const __m256i part =
          set == 0 ? _mm512_castsi512_si256(bytes) : _mm512_extracti64x4_epi64(bytes, 1);
      _mm256_mask_storeu_epi8(p, static_cast<__mmask32>(tail), part);
    } else {
      const __m128i part = set == 0   ? _mm512_castsi512_si128(bytes)
                           : set == 1 ? _mm512_extracti32x4_epi32(bytes, 1)
                           : set == 2 ? _mm512_extracti32x4_epi32(bytes, 2)
                                      : _mm512_extracti32x4_epi32(bytes, 3);
      _mm_mask_storeu_epi8(p, static_cast<__mmask16>(tail), part);
    }
  }

  INT8X_INLINE void interleave(Bytes a, Bytes b, Bytes c, Bytes d, unsigned char* to) {
    const __m512i ab_low = _mm512_unpacklo_epi8(a, b), ab_high = _mm512_unpackhi_epi8(a, b);
    const __m512i cd_low = _mm512_unpacklo_epi8(c, d), cd_high = _mm512_unpackhi_epi8(c, d);
    _mm512_store_si512(to, _mm512_unpacklo_epi16(ab_low, cd_low));
    _mm512_store_si512(to + 64, _mm512_unpackhi_epi16(ab_low, cd_low));
    _mm512_store_si512(to + 128, _mm512_unpacklo_epi16(ab_high, cd_high));
    _mm512_store_si512(to + 192, _mm512_unpackhi_epi16(ab_high, cd_high));
  }

  INT8X_INLINE Words load_words(const unsigned char* p) { return _mm512_load_si512(p); }
  INT8X_INLINE Words load_quads(const unsigned char* p) { return _mm512_load_si512(p); }
  INT8X_INLINE Weights load_weights(const unsigned char* p) { return _mm512_load_si512(p); }
  INT8X_INLINE Words dot(Words acc, Words quads, Weights weights) {
    return _mm512_dpbusd_epi32(acc, quads, weights);
  }

  template <bool relu>
  INT8X_INLINE Constants constants(const unsigned char* k) {
    Constants c;
    c.twice_even = _mm512_load_si512(k);
    c.twice_odd = _mm512_load_si512(k + 64);
    c.offset_even = _mm512_load_si512(k + 128);
    c.offset_odd = _mm512_load_si512(k + 192);
    c.right = _mm512_load_si512(k + 256);
    if (!relu) c.sign_shift = _mm512_load_si512(k + 320);
    return c;
  }

  // multiply_narrow_biased of vector_avx512.h, with the output's zero point in the offsets.
  template <bool relu>
  INT8X_INLINE Words round(Words acc, const Constants& c) {
    const __m512i even = _mm512_add_epi64(_mm512_mul_epu32(acc, c.twice_even), c.offset_even);
    const __m512i upper = _mm512_srli_epi64(acc, 32);
    const __m512i odd = _mm512_add_epi64(_mm512_mul_epu32(upper, c.twice_odd), c.offset_odd);
    __m512i high = _mm512_mask_shuffle_epi32(odd, 0x5555, even, _MM_PERM_DDBB);
    if (!relu) high = _mm512_add_epi32(high, _mm512_srlv_epi32(acc, c.sign_shift));
    return _mm512_srav_epi32(high, c.right);
  }

  INT8X_INLINE Halves pack_words(Words a, Words b) { return _mm512_packs_epi32(a, b); }
  INT8X_INLINE Bytes pack_halves(Halves a, Halves b, const Limits& limits) {
    return _mm512_min_epi8(_mm512_max_epi8(_mm512_packs_epi16(a, b), limits.min), limits.max);
  }
};

#include "delegate/kernels/depthwise/quads_kernel.inc"

}  // namespace

INT8X_QUADS(depthwise_s8_s8_3x3s1_avx512vnni, 3, 1, 1)
INT8X_QUADS(depthwise_s8_s8_3x3s2_avx512vnni, 3, 2, 1)
INT8X_QUADS(depthwise_s8_s8_5x5s1_avx512vnni, 5, 1, 2)
INT8X_QUADS(depthwise_s8_s8_5x5s2_avx512vnni, 5, 2, 2)

}  // namespace int8x
