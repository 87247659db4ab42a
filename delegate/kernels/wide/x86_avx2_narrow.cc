// 16x8 convolutions by vpmaddwd, 16 channels at a time.

#include <immintrin.h>

#include <cstring>

#include "delegate/base/inline.h"
#include "delegate/kernels/wide/narrow.h"

namespace int8x {
namespace {

__m256i load256(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }

struct V {
  static constexpr int kLanes = 8, kRows = 4, kPanels = 1;
  using Words = __m256i;
  using Halves = __m256i;
  INT8X_INLINE Words zero() { return _mm256_setzero_si256(); }
  INT8X_INLINE Halves load(const int16_t* p) { return load256(p); }
  INT8X_INLINE Halves load_some(const int16_t* p, int count) {
    int16_t copy[16] = {};
    std::memcpy(copy, p, static_cast<size_t>(count) * sizeof(int16_t));
    return load(copy);
  }
  INT8X_INLINE Halves pair(const int16_t* p) {
    int32_t two;
    std::memcpy(&two, p, sizeof(two));
    return _mm256_set1_epi32(two);
  }
  INT8X_INLINE Words dot(Words sums, Halves a, Halves b) {
    return _mm256_add_epi32(sums, _mm256_madd_epi16(a, b));
  }
  INT8X_INLINE Halves low(Halves a, Halves b) { return _mm256_unpacklo_epi16(a, b); }
  INT8X_INLINE Halves high(Halves a, Halves b) { return _mm256_unpackhi_epi16(a, b); }
  INT8X_INLINE Words requantize(Words sums, const WideRounding& r, int at, int32_t min,
                                int32_t max) {
    const __m256i x = _mm256_add_epi32(sums, load256(r.bias + at));
    const __m256i half = load256(r.half + at), right = load256(r.right + at);
    const __m256i even =
        _mm256_add_epi64(_mm256_mul_epi32(x, half), load256(r.nudge_even + at / 2));
    const __m256i odd =
        _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64(x, 32), _mm256_srli_epi64(half, 32)),
                         load256(r.nudge_odd + at / 2));
    const __m256i even_right = _mm256_blend_epi32(right, _mm256_setzero_si256(), 0xaa);
    const __m256i shifted_even = _mm256_srlv_epi64(even, even_right);
    const __m256i shifted_odd = _mm256_srlv_epi64(odd, _mm256_srli_epi64(right, 32));
    const __m256i both = _mm256_blend_epi32(shifted_even, _mm256_slli_epi64(shifted_odd, 32), 0xaa);
    const __m256i y = _mm256_sub_epi32(both, load256(r.offset + at));
    return _mm256_min_epi32(_mm256_max_epi32(y, _mm256_set1_epi32(min)), _mm256_set1_epi32(max));
  }
  INT8X_INLINE Halves join(Words low, Words high) { return _mm256_packs_epi32(low, high); }
  INT8X_INLINE void store(int16_t* p, Halves x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x);
  }
  INT8X_INLINE void store_some(int16_t* p, Halves x, int count) {
    int16_t copy[16];
    store(copy, x);
    std::memcpy(p, copy, static_cast<size_t>(count) * sizeof(int16_t));
  }
  INT8X_INLINE void store_row(int16_t* p, const Words (&words)[2]) {
    store(p, _mm256_permute4x64_epi64(_mm256_packs_epi32(words[0], words[1]), 0xd8));
  }
};

#include "delegate/kernels/wide/narrow_tiles.inc"

}  // namespace

void gemm_s16_s16_s16_4x16x2_avx2(const WideGemm& g) { gemm(g); }
void depthwise_s16_s16_s16_avx2(const WideDepthwise& d) { depthwise(d); }

}  // namespace int8x
