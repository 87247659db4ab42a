#include "delegate/base/avx512.h"
#include "delegate/kernels/sparse/leaf.h"

namespace int8x {

// vpermi2d finds each channel's block among the 32 of a chunk. Every other entry goes to a sum of
// its own, to hide the latency of vpdpbusd.
void sparse_s8_s8_s32_1x16x4_avx512vnni(const SparseRow& row) {
  const uint8_t* counts = row.counts;
  const __m128i* places = reinterpret_cast<const __m128i*>(row.places);
  const int8_t* weights = row.weights;
  for (int panel = 0; panel < row.panels; ++panel) {
    __m512i even = _mm512_setzero_si512(), odd = _mm512_setzero_si512();
    for (int chunk = 0; chunk < row.chunks; ++chunk) {
      const uint8_t* lhs = row.lhs + chunk * kSparseRowChunk * 4;
      const __m512i low = _mm512_loadu_si512(lhs), high = _mm512_loadu_si512(lhs + 64);
      int left = *counts++;
      for (; left >= 2; left -= 2, places += 2, weights += 128) {
        const __m512i at0 = _mm512_cvtepu8_epi32(_mm_loadu_si128(places));
        const __m512i at1 = _mm512_cvtepu8_epi32(_mm_loadu_si128(places + 1));
        even = _mm512_dpbusd_epi32(even, _mm512_permutex2var_epi32(low, at0, high),
                                   _mm512_load_si512(weights));
        odd = _mm512_dpbusd_epi32(odd, _mm512_permutex2var_epi32(low, at1, high),
                                  _mm512_load_si512(weights + 64));
      }
      if (left > 0) {
        const __m512i at = _mm512_cvtepu8_epi32(_mm_loadu_si128(places++));
        even = _mm512_dpbusd_epi32(even, _mm512_permutex2var_epi32(low, at, high),
                                   _mm512_load_si512(weights));
        weights += 64;
      }
    }
    _mm512_storeu_si512(row.sums + panel * kSparseRowPanel, _mm512_add_epi32(even, odd));
  }
}

}  // namespace int8x
