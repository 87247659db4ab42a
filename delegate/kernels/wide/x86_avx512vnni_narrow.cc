// 16x8 convolutions by vpdpwssd, 32 channels at a time.

#include <cstring>

#include "delegate/base/avx512.h"
#include "delegate/base/inline.h"
#include "delegate/kernels/wide/narrow.h"

namespace int8x {
namespace {

__mmask32 first(int count) { return (__mmask32{1} << count) - 1; }

struct V {
  static constexpr int kLanes = 16, kRows = 6, kPanels = 4;
  using Words = __m512i;
  using Halves = __m512i;
  INT8X_INLINE Words zero() { return _mm512_setzero_si512(); }
  INT8X_INLINE Halves load(const int16_t* p) { return _mm512_loadu_si512(p); }
  INT8X_INLINE Halves load_some(const int16_t* p, int count) {
    return _mm512_maskz_loadu_epi16(first(count), p);
  }
  INT8X_INLINE Halves pair(const int16_t* p) {
    int32_t two;
    std::memcpy(&two, p, sizeof(two));
    return _mm512_set1_epi32(two);
  }
  INT8X_INLINE Words dot(Words sums, Halves a, Halves b) { return _mm512_dpwssd_epi32(sums, a, b); }
  INT8X_INLINE Halves low(Halves a, Halves b) { return _mm512_unpacklo_epi16(a, b); }
  INT8X_INLINE Halves high(Halves a, Halves b) { return _mm512_unpackhi_epi16(a, b); }
  INT8X_INLINE Words requantize(Words sums, const WideRounding& r, int at, int32_t min,
                                int32_t max) {
    const __m512i x = _mm512_add_epi32(sums, _mm512_loadu_si512(r.bias + at));
    const __m512i half = _mm512_loadu_si512(r.half + at);
    const __m512i right = _mm512_loadu_si512(r.right + at);
    const __m512i even =
        _mm512_add_epi64(_mm512_mul_epi32(x, half), _mm512_loadu_si512(r.nudge_even + at / 2));
    const __m512i odd =
        _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64(x, 32), _mm512_srli_epi64(half, 32)),
                         _mm512_loadu_si512(r.nudge_odd + at / 2));
    const __m512i shifted_even = _mm512_srlv_epi64(even, _mm512_maskz_mov_epi32(0x5555, right));
    const __m512i shifted_odd = _mm512_srlv_epi64(odd, _mm512_srli_epi64(right, 32));
    const __m512i both =
        _mm512_mask_mov_epi32(shifted_even, 0xaaaa, _mm512_slli_epi64(shifted_odd, 32));
    const __m512i y = _mm512_sub_epi32(both, _mm512_loadu_si512(r.offset + at));
    return _mm512_min_epi32(_mm512_max_epi32(y, _mm512_set1_epi32(min)), _mm512_set1_epi32(max));
  }
  INT8X_INLINE Halves join(Words low, Words high) { return _mm512_packs_epi32(low, high); }
  INT8X_INLINE void store(int16_t* p, Halves x) { _mm512_storeu_si512(p, x); }
  INT8X_INLINE void store_some(int16_t* p, Halves x, int count) {
    _mm512_mask_storeu_epi16(p, first(count), x);
  }
  INT8X_INLINE void store_row(int16_t* p, const Words (&words)[1]) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(words[0]));
  }
};

#include "delegate/kernels/wide/narrow_tiles.inc"

}  // namespace

void gemm_s16_s16_s16_6x64x2_avx512vnni(const WideGemm& g) { gemm(g); }
void depthwise_s16_s16_s16_avx512vnni(const WideDepthwise& d) { depthwise(d); }

}  // namespace int8x
