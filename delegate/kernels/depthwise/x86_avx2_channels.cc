// Any depthwise filter: 16 output channels at a time, two taps to a vpmaddwd.

#include <immintrin.h>

#include <cstring>

#include "delegate/base/inline.h"
#include "delegate/fixed_point/vector_avx2.h"
#include "delegate/kernels/depthwise/channels.h"

namespace int8x {
namespace {

// Unpacking pairs within 16-byte parts leaves channels 0-3, 8-11 in `low` and 4-7, 12-15 in `high`.
constexpr int kOrder[2][8] = {{0, 1, 2, 3, 8, 9, 10, 11}, {4, 5, 6, 7, 12, 13, 14, 15}};

struct Block {
  channels::Source source;
  __m256i bias[2];
  avx2::Rounding rounding[2];
};

struct Pair {
  __m256i low, high;  // int16 weights of tap 2p and 2p + 1 alternating
};

size_t block_bytes(const DepthwiseSpec& s) {
  return sizeof(Block) + static_cast<size_t>(channels::pairs(s)) * sizeof(Pair);
}

// 16 bytes at p, as far as they lie before `end`.
INT8X_INLINE __m128i load16(const int8_t* p, const int8_t* end) {
  if (end - p >= 16) return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  alignas(16) int8_t bytes[16] = {};
  std::memcpy(bytes, p, static_cast<size_t>(end - p));
  return _mm_load_si128(reinterpret_cast<const __m128i*>(bytes));
}

// 16 outputs.
template <bool pick>
INT8X_INLINE __m128i convolve(const Block& block, const Pair* weights, int pairs,
                              const int8_t* const* pixels, const int8_t* zero_pixel,
                              const int8_t* end, __m256i zero_point) {
  const __m128i picks = _mm_load_si128(reinterpret_cast<const __m128i*>(block.source.picks));
  const int start = block.source.start;
  const int8_t* zero_end = zero_pixel + start + 16;
  __m256i low = block.bias[0], high = block.bias[1];
  for (int i = 0; i < pairs; ++i) {
    const int8_t* p = pixels[2 * i];
    const int8_t* q = pixels[2 * i + 1];
    __m128i a = load16(p + start, p == zero_pixel ? zero_end : end);
    __m128i b = load16(q + start, q == zero_pixel ? zero_end : end);
    if (pick) {
      a = _mm_shuffle_epi8(a, picks);
      b = _mm_shuffle_epi8(b, picks);
    }
    const __m256i wide_a = _mm256_cvtepi8_epi16(a), wide_b = _mm256_cvtepi8_epi16(b);
    low = _mm256_add_epi32(
        low, _mm256_madd_epi16(_mm256_unpacklo_epi16(wide_a, wide_b), weights[i].low));
    high = _mm256_add_epi32(
        high, _mm256_madd_epi16(_mm256_unpackhi_epi16(wide_a, wide_b), weights[i].high));
  }
  low = avx2::multiply_by_quantized_multiplier(low, block.rounding[0]);
  high = avx2::multiply_by_quantized_multiplier(high, block.rounding[1]);
  low = _mm256_add_epi32(low, zero_point);
  high = _mm256_add_epi32(high, zero_point);
  const __m256i words = _mm256_packs_epi32(low, high);  // in channel order again
  return _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
}

}  // namespace

bool depthwise_s8_s8_1x16_avx2_fits(const DepthwiseSpec&) { return true; }

size_t depthwise_s8_s8_1x16_avx2_packed_bytes(const DepthwiseSpec& s) {
  return static_cast<size_t>(channels::blocks(s)) * block_bytes(s);
}

void depthwise_s8_s8_1x16_avx2_pack(const DepthwiseSpec& s, void* packed) {
  for (int i = 0; i < channels::blocks(s); ++i) {
    char* at = static_cast<char*>(packed) + static_cast<size_t>(i) * block_bytes(s);
    Block* block = reinterpret_cast<Block*>(at);
    block->source = channels::source_of(s, i * channels::kBlock);
    for (int half = 0; half < 2; ++half) {
      int32_t bias[8];
      Multiplier multiplier[8];
      for (int lane = 0; lane < 8; ++lane) {
        const int c = i * channels::kBlock + kOrder[half][lane];
        bias[lane] = channels::bias_at(s, c);
        multiplier[lane] = channels::multiplier_at(s, c);
      }
      block->bias[half] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bias));
      block->rounding[half] = avx2::rounding(multiplier);
    }
    for (int pair = 0; pair < channels::pairs(s); ++pair) {
      int16_t weights[2][16];
      for (int half = 0; half < 2; ++half) {
        for (int lane = 0; lane < 8; ++lane) {
          const int c = i * channels::kBlock + kOrder[half][lane];
          weights[half][2 * lane] = channels::weight_at(s, 2 * pair, c);
          weights[half][2 * lane + 1] = channels::weight_at(s, 2 * pair + 1, c);
        }
      }
      std::memcpy(at + sizeof(Block) + static_cast<size_t>(pair) * sizeof(Pair), weights,
                  sizeof(Pair));
    }
  }
}

size_t depthwise_s8_s8_1x16_avx2_scratch_bytes(const DepthwiseParams& params) {
  return channels::scratch_bytes(params);
}

void depthwise_s8_s8_1x16_avx2(const DepthwiseParams& params, const int8_t* input, int8_t* output,
                               const DepthwiseTile& tile, void* scratch) {
  const DepthwiseSpec& s = params.weights->spec;
  const DepthwiseGeometry& g = params.geometry;
  const int64_t channels = params.weights->channels;
  const int64_t image_size = static_cast<int64_t>(g.in_h) * g.in_w * s.in_c;
  const int8_t* image = input + tile.batch * image_size;
  const int8_t* end = input + g.batch * image_size;
  const int8_t* zero_pixel = static_cast<const int8_t*>(scratch);
  const __m256i zero_point = _mm256_set1_epi32(s.output_zero_point);
  const __m128i min = _mm_set1_epi8(static_cast<char>(s.activation_min));
  const __m128i max = _mm_set1_epi8(static_cast<char>(s.activation_max));
  const int pairs = channels::pairs(s);
  channels::fill_zero_pixel(params, scratch);
  for (int y = tile.row_begin; y < tile.row_end; ++y) {
    for (int x = 0; x < g.out_w; ++x) {
      const int8_t* const* pixels = channels::pixels_under(params, image, y, x, scratch);
      int8_t* to =
          output + ((static_cast<int64_t>(tile.batch) * g.out_h + y) * g.out_w + x) * channels;
      for (int c = tile.channel_begin; c < tile.channel_end; c += channels::kBlock) {
        const char* at = static_cast<const char*>(params.weights->packed) +
                         static_cast<size_t>(c / channels::kBlock) * block_bytes(s);
        const Block& block = *reinterpret_cast<const Block*>(at);
        const Pair* weights = reinterpret_cast<const Pair*>(at + sizeof(Block));
        __m128i bytes =
            s.depth_multiplier == 1
                ? convolve<false>(block, weights, pairs, pixels, zero_pixel, end, zero_point)
                : convolve<true>(block, weights, pairs, pixels, zero_pixel, end, zero_point);
        bytes = _mm_min_epi8(_mm_max_epi8(bytes, min), max);
        if (tile.channel_end - c >= channels::kBlock) {
          _mm_storeu_si128(reinterpret_cast<__m128i*>(to + c), bytes);
        } else {
          alignas(16) int8_t stored[16];
          _mm_store_si128(reinterpret_cast<__m128i*>(stored), bytes);
          std::memcpy(to + c, stored, static_cast<size_t>(tile.channel_end - c));
        }
      }
    }
  }
}

}  // namespace int8x
