#include <immintrin.h>

#include "delegate/kernels/sparse/leaf.h"

// lhs is [blocks][two pairs of channels][pixels][2] of int16: vpmaddwd adds a pair of products,
// exact, since |a * b| <= 2^14.

namespace int8x {
namespace {

#define INT8X_UNROLL _Pragma("GCC unroll 8")  // sums stay in registers only if all is unrolled

// `vectors` x 8 pixels of every channel.
template <int vectors>
void channels(const SparseBlock& b) {
  if constexpr (vectors > 1)
    if (b.pixels < 8 * vectors) return channels<vectors - 1>(b);
  constexpr int64_t kPair = int64_t{vectors} * 16;
  const int32_t* weights = static_cast<const int32_t*>(b.weights);  // two pairs for each block
  for (int j = 0; j < b.channels; ++j) {
    const int at = j * kSparsePixels;
    __m256i sum[vectors];
    INT8X_UNROLL
    for (int v = 0; v < vectors; ++v) {
      sum[v] = b.before == nullptr
                   ? _mm256_setzero_si256()
                   : _mm256_load_si256(reinterpret_cast<const __m256i*>(b.before + at + 8 * v));
    }
    for (uint32_t k = b.ends[j]; k < b.ends[j + 1]; ++k) {
      const __m256i low = _mm256_set1_epi32(weights[2 * k]);
      const __m256i high = _mm256_set1_epi32(weights[2 * k + 1]);
      const int16_t* x = static_cast<const int16_t*>(b.lhs) + b.blocks[k] * 2 * kPair;
      INT8X_UNROLL
      for (int v = 0; v < vectors; ++v) {
        const __m256i x0 = _mm256_load_si256(reinterpret_cast<const __m256i*>(x + 16 * v));
        const __m256i x1 = _mm256_load_si256(reinterpret_cast<const __m256i*>(x + kPair + 16 * v));
        sum[v] = _mm256_add_epi32(sum[v], _mm256_madd_epi16(x0, low));
        sum[v] = _mm256_add_epi32(sum[v], _mm256_madd_epi16(x1, high));
      }
    }
    INT8X_UNROLL
    for (int v = 0; v < vectors; ++v)
      _mm256_store_si256(reinterpret_cast<__m256i*>(b.sums + at + 8 * v), sum[v]);
  }
}

}  // namespace

void sparse_s8_s8_s32_64x1x4_avx2(const SparseBlock& b) { channels<8>(b); }

void sparse_s8_s8_s32_64x1x4_avx2_pack(const int8_t* const* pixels, int count, int blocks,
                                       void* lhs) {
  int16_t* to = static_cast<int16_t*>(lhs);
  for (int b = 0; b < blocks; ++b, to += int64_t{count} * 4) {
    for (int p = 0; p < count; p += 8) {
      int32_t four[8];
      INT8X_UNROLL
      for (int i = 0; i < 8; ++i) __builtin_memcpy(&four[i], pixels[p + i] + 4 * b, 4);
      const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(four));
      // Bytes 0 and 1 of every dword, widened; then bytes 2 and 3.
      const __m256i even = _mm256_slli_epi16(x, 8);
      const __m256i low = _mm256_blend_epi16(_mm256_srai_epi16(even, 8),
                                             _mm256_slli_epi32(_mm256_srai_epi16(x, 8), 16), 0xaa);
      const __m256i high = _mm256_blend_epi16(_mm256_srli_epi32(_mm256_srai_epi16(even, 8), 16),
                                              _mm256_srai_epi16(x, 8), 0xaa);
      _mm256_store_si256(reinterpret_cast<__m256i*>(to + 2 * p), low);
      _mm256_store_si256(reinterpret_cast<__m256i*>(to + 2 * count + 2 * p), high);
    }
  }
}

}  // namespace int8x
