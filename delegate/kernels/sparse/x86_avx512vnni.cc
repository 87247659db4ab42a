#include <immintrin.h>

#include "delegate/base/inline.h"
#include "delegate/fixed_point/vector_avx512.h"
#include "delegate/kernels/sparse/leaf.h"

// Pixels are fed to vpdpbusd as v ^ 0x80 = v + 128, which pack() does once; what that adds to the
// sums is in the bias.

namespace int8x {
namespace {

#define INT8X_UNROLL _Pragma("GCC unroll 16")  // sums stay in registers only if all is unrolled

// The sums of one channel, `vectors` x 16 pixels. Up to four vectors are summed twice over, every
// other block: fewer sums in flight would not hide the latency of vpdpbusd.
template <int vectors>
INT8X_INLINE void sum_channel(const SparseBlock& b, int j, __m512i (&sum)[vectors]) {
  constexpr int64_t kPitch = int64_t{vectors} * 64;
  const uint8_t* lhs = static_cast<const uint8_t*>(b.lhs);
  const int32_t* weights = static_cast<const int32_t*>(b.weights);
  uint32_t k = b.ends[j];
  const uint32_t end = b.ends[j + 1];
  INT8X_UNROLL
  for (int v = 0; v < vectors; ++v) {
    sum[v] = b.before == nullptr ? _mm512_setzero_si512()
                                 : _mm512_load_si512(b.before + j * kSparsePixels + 16 * v);
  }
  if (vectors <= 4) {
    __m512i other[vectors];
    INT8X_UNROLL
    for (int v = 0; v < vectors; ++v) other[v] = _mm512_setzero_si512();
    for (; k + 2 <= end; k += 2) {
      const __m512i w0 = _mm512_set1_epi32(weights[k]), w1 = _mm512_set1_epi32(weights[k + 1]);
      const uint8_t* x0 = lhs + b.blocks[k] * kPitch;
      const uint8_t* x1 = lhs + b.blocks[k + 1] * kPitch;
      INT8X_UNROLL
      for (int v = 0; v < vectors; ++v) {
        sum[v] = _mm512_dpbusd_epi32(sum[v], _mm512_load_si512(x0 + 64 * v), w0);
        other[v] = _mm512_dpbusd_epi32(other[v], _mm512_load_si512(x1 + 64 * v), w1);
      }
    }
    INT8X_UNROLL
    for (int v = 0; v < vectors; ++v) sum[v] = _mm512_add_epi32(sum[v], other[v]);
  }
  for (; k < end; ++k) {
    const __m512i w = _mm512_set1_epi32(weights[k]);
    const uint8_t* x = lhs + b.blocks[k] * kPitch;
    INT8X_UNROLL
    for (int v = 0; v < vectors; ++v)
      sum[v] = _mm512_dpbusd_epi32(sum[v], _mm512_load_si512(x + 64 * v), w);
  }
}

template <int vectors>
void all_channels(const SparseBlock& b) {
  for (int j = 0; j < b.channels; ++j) {
    __m512i sum[vectors];
    sum_channel<vectors>(b, j, sum);
    INT8X_UNROLL
    for (int v = 0; v < vectors; ++v)
      _mm512_store_si512(b.sums + j * kSparsePixels + 16 * v, sum[v]);
  }
}

// Sums of the channels to bytes[channel][kSparsePixels].
template <int vectors, bool half_up>
void requantize_channels(const SparseBlock& b, const SparseOutput& o) {
  const __m512i zero_point = _mm512_set1_epi16(static_cast<short>(o.zero_point));
  const __m512i min = _mm512_set1_epi8(static_cast<char>(o.min));
  const __m512i max = _mm512_set1_epi8(static_cast<char>(o.max));
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  for (int j = 0; j < b.channels; ++j) {
    __m512i sum[vectors];
    sum_channel<vectors>(b, j, sum);
    avx512::Rounding r = avx512::rounding(o.multipliers[j]);
    if (half_up) r = avx512::half_up(r);
    // 2^31 on top for multiply_narrow_biased().
    const __m512i bias = _mm512_set1_epi32(o.bias[j] ^ INT32_MIN);
    INT8X_UNROLL
    for (int v = 0; v < vectors; ++v) {
      const __m512i biased = _mm512_add_epi32(sum[v], bias);
      sum[v] = half_up ? avx512::multiply_half_up_biased(biased, r)
                       : avx512::multiply_narrow_biased(biased, r);
    }
    INT8X_UNROLL
    for (int v = 0; v < vectors; v += 4) {
      const __m512i y0 = sum[v], y1 = sum[v + 1 < vectors ? v + 1 : v];
      const __m512i y2 = sum[v + 2 < vectors ? v + 2 : v], y3 = sum[v + 3 < vectors ? v + 3 : v];
      const __m512i low = _mm512_adds_epi16(_mm512_packs_epi32(y0, y1), zero_point);
      const __m512i high = _mm512_adds_epi16(_mm512_packs_epi32(y2, y3), zero_point);
      __m512i bytes = _mm512_packs_epi16(low, high);
      bytes = _mm512_min_epi8(_mm512_max_epi8(bytes, min), max);
      _mm512_store_si512(o.bytes + j * kSparsePixels + 16 * v,
                         _mm512_permutexvar_epi32(order, bytes));
    }
  }
}

// Row r of a 64 x 16 tile of bytes and the rows 16, 32 and 48 below it, one to a 128-bit lane.
INT8X_INLINE __m512i four_rows(const int8_t* bytes, int r) {
  const int8_t* row = bytes + r * kSparsePixels;
  __m512i x = _mm512_castsi128_si512(_mm_load_si128(reinterpret_cast<const __m128i*>(row)));
  const auto lane = [row](int i) {
    return _mm_load_si128(reinterpret_cast<const __m128i*>(row + 16 * i * kSparsePixels));
  };
  x = _mm512_inserti32x4(x, lane(1), 1);
  x = _mm512_inserti32x4(x, lane(2), 2);
  return _mm512_inserti32x4(x, lane(3), 3);
}

// bytes[64 channels][kSparsePixels] of 16 pixels to out[pixel][channel], those of `mask`.
INT8X_INLINE void transpose(const int8_t* bytes, int pixels, __mmask64 mask, int8_t* out,
                            int64_t stride) {
  __m512i x[16], y[16];
  INT8X_UNROLL
  for (int r = 0; r < 16; ++r) x[r] = four_rows(bytes, r);
    // Four rounds of interleaving rows r and r + 8: after them lane byte r of x[p] is row r, pixel
    // p.
#define INT8X_ROUND(from, to)                                   \
  INT8X_UNROLL                                                  \
  for (int r = 0; r < 8; ++r) {                                 \
    to[2 * r] = _mm512_unpacklo_epi8(from[r], from[r + 8]);     \
    to[2 * r + 1] = _mm512_unpackhi_epi8(from[r], from[r + 8]); \
  }
  INT8X_ROUND(x, y)
  INT8X_ROUND(y, x)
  INT8X_ROUND(x, y)
  INT8X_ROUND(y, x)
#undef INT8X_ROUND
  INT8X_UNROLL
  for (int p = 0; p < 16; ++p)
    if (p < pixels) _mm512_mask_storeu_epi8(out + p * stride, mask, x[p]);
}

template <int vectors>
void requantize(const SparseBlock& b, const SparseOutput& o) {
  if (o.min >= o.zero_point) {
    requantize_channels<vectors, true>(b, o);
  } else {
    requantize_channels<vectors, false>(b, o);
  }
  const __mmask64 mask = ~__mmask64{0} >> (64 - b.channels);
  for (int p = 0; p < o.valid; p += 16)
    transpose(o.bytes + p, o.valid - p, mask, o.out + p * o.out_stride, o.out_stride);
}

// Four blocks a dword each: rows of 16 pixels become 16 vectors, one for each block.
INT8X_INLINE void transpose_blocks(__m512i (&x)[16]) {
  __m512i y[16];
  INT8X_UNROLL
  for (int i = 0; i < 16; i += 2) {
    y[i] = _mm512_unpacklo_epi32(x[i], x[i + 1]);
    y[i + 1] = _mm512_unpackhi_epi32(x[i], x[i + 1]);
  }
  INT8X_UNROLL
  for (int i = 0; i < 16; i += 4) {
    x[i] = _mm512_unpacklo_epi64(y[i], y[i + 2]);
    x[i + 1] = _mm512_unpackhi_epi64(y[i], y[i + 2]);
    x[i + 2] = _mm512_unpacklo_epi64(y[i + 1], y[i + 3]);
    x[i + 3] = _mm512_unpackhi_epi64(y[i + 1], y[i + 3]);
  }
  // x[4 q + c] has of pixels 4 q ... 4 q + 3 column c of every lane.
  INT8X_UNROLL
  for (int c = 0; c < 4; ++c) {
    const __m512i even01 = _mm512_shuffle_i32x4(x[c], x[4 + c], 0x88);
    const __m512i odd01 = _mm512_shuffle_i32x4(x[c], x[4 + c], 0xdd);
    const __m512i even23 = _mm512_shuffle_i32x4(x[8 + c], x[12 + c], 0x88);
    const __m512i odd23 = _mm512_shuffle_i32x4(x[8 + c], x[12 + c], 0xdd);
    y[c] = _mm512_shuffle_i32x4(even01, even23, 0x88);
    y[4 + c] = _mm512_shuffle_i32x4(odd01, odd23, 0x88);
    y[8 + c] = _mm512_shuffle_i32x4(even01, even23, 0xdd);
    y[12 + c] = _mm512_shuffle_i32x4(odd01, odd23, 0xdd);
  }
  INT8X_UNROLL
  for (int i = 0; i < 16; ++i) x[i] = y[i];
}

}  // namespace

#define INT8X_EACH(function, ...)      \
  switch (b.pixels / 16) {             \
    case 1:                            \
      return function<1>(__VA_ARGS__); \
    case 2:                            \
      return function<2>(__VA_ARGS__); \
    case 3:                            \
      return function<3>(__VA_ARGS__); \
    case 4:                            \
      return function<4>(__VA_ARGS__); \
    case 5:                            \
      return function<5>(__VA_ARGS__); \
    case 6:                            \
      return function<6>(__VA_ARGS__); \
    case 7:                            \
      return function<7>(__VA_ARGS__); \
    default:                           \
      return function<8>(__VA_ARGS__); \
  }

void sparse_s8_s8_s32_128x1x4_avx512vnni(const SparseBlock& b) { INT8X_EACH(all_channels, b) }

void sparse_s8_s8_s32_128x1x4_avx512vnni_requantize(const SparseBlock& b, const SparseOutput& o) {
  INT8X_EACH(requantize, b, o)
}

void sparse_s8_s8_s32_128x1x4_avx512vnni_pack(const int8_t* const* pixels, int count, int blocks,
                                              void* lhs) {
  uint8_t* to = static_cast<uint8_t*>(lhs);
  const int64_t pitch = int64_t{count} * 4;
  const __m512i sign = _mm512_set1_epi8(-128);
  for (int b = 0; b < blocks; b += 16) {
    const int here = blocks - b < 16 ? blocks - b : 16;
    const __mmask16 mask = static_cast<__mmask16>(0xffff >> (16 - here));
    for (int p = 0; p < count; p += 16) {
      __m512i x[16];
      INT8X_UNROLL
      for (int i = 0; i < 16; ++i) {
        const __m512i row = _mm512_maskz_loadu_epi32(mask, pixels[p + i] + 4 * b);
        x[i] = _mm512_xor_si512(row, sign);
      }
      transpose_blocks(x);
      uint8_t* block = to + b * pitch + 4 * p;
      INT8X_UNROLL
      for (int i = 0; i < 16; ++i)
        if (i < here) _mm512_store_si512(block + i * pitch, x[i]);
    }
  }
}

}  // namespace int8x
