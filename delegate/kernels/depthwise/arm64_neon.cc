// Any depthwise filter: 16 output channels at a time, two taps to an int16 lane. Two products fit
// there unless both weights are -128; a filter that holds one is left to single products.

#include <arm_neon.h>

#include <cstring>

#include "delegate/base/inline.h"
#include "delegate/fixed_point/vector_neon.h"
#include "delegate/kernels/depthwise/channels.h"

namespace int8x {
namespace {

struct Block {
  channels::Source source;
  int32x4_t bias[4];
  neon::Rounding rounding[4];
};

struct Pair {
  int8x16_t first, second;
};

// Whether two products can meet in an int16 lane.
struct Head {
  alignas(16) int32_t paired;
};

size_t block_bytes(const DepthwiseSpec& s) {
  return sizeof(Block) + static_cast<size_t>(channels::pairs(s)) * sizeof(Pair);
}

// 16 bytes at p, as far as they lie before `end`.
INT8X_INLINE int8x16_t load16(const int8_t* p, const int8_t* end) {
  if (end - p >= 16) return vld1q_s8(p);
  int8_t bytes[16] = {};
  std::memcpy(bytes, p, static_cast<size_t>(end - p));
  return vld1q_s8(bytes);
}

INT8X_INLINE void add(int32x4_t acc[4], int16x8_t low, int16x8_t high) {
  acc[0] = vaddw_s16(acc[0], vget_low_s16(low));
  acc[1] = vaddw_high_s16(acc[1], low);
  acc[2] = vaddw_s16(acc[2], vget_low_s16(high));
  acc[3] = vaddw_high_s16(acc[3], high);
}

// 16 outputs.
template <bool paired, bool pick>
INT8X_INLINE int8x16_t convolve(const Block& block, const Pair* weights, int pairs,
                                const int8_t* const* pixels, const int8_t* zero_pixel,
                                const int8_t* end, int32x4_t zero_point) {
  const uint8x16_t picks = vld1q_u8(block.source.picks);
  const int start = block.source.start;
  const int8_t* zero_end = zero_pixel + start + 16;
  int32x4_t acc[4] = {block.bias[0], block.bias[1], block.bias[2], block.bias[3]};
  for (int i = 0; i < pairs; ++i) {
    const int8_t* p = pixels[2 * i];
    const int8_t* q = pixels[2 * i + 1];
    int8x16_t a = load16(p + start, p == zero_pixel ? zero_end : end);
    int8x16_t b = load16(q + start, q == zero_pixel ? zero_end : end);
    if (pick) {
      a = vqtbl1q_s8(a, picks);
      b = vqtbl1q_s8(b, picks);
    }
    const int8x16_t first = weights[i].first, second = weights[i].second;
    int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(first));
    int16x8_t high = vmull_high_s8(a, first);
    if (paired) {
      low = vmlal_s8(low, vget_low_s8(b), vget_low_s8(second));
      high = vmlal_high_s8(high, b, second);
      add(acc, low, high);
    } else {
      add(acc, low, high);
      add(acc, vmull_s8(vget_low_s8(b), vget_low_s8(second)), vmull_high_s8(b, second));
    }
  }
  for (int i = 0; i < 4; ++i) {
    acc[i] =
        vaddq_s32(neon::multiply_by_quantized_multiplier(acc[i], block.rounding[i]), zero_point);
  }
  return neon::pack_s8(acc[0], acc[1], acc[2], acc[3]);
}

}  // namespace

bool depthwise_s8_s8_1x16_neon_fits(const DepthwiseSpec&) { return true; }

size_t depthwise_s8_s8_1x16_neon_packed_bytes(const DepthwiseSpec& s) {
  return sizeof(Head) + static_cast<size_t>(channels::blocks(s)) * block_bytes(s);
}

void depthwise_s8_s8_1x16_neon_pack(const DepthwiseSpec& s, void* packed) {
  Head* head = static_cast<Head*>(packed);
  head->paired = 1;
  for (int i = 0; i < channels::blocks(s); ++i) {
    char* at = static_cast<char*>(packed) + sizeof(Head) + static_cast<size_t>(i) * block_bytes(s);
    Block* block = reinterpret_cast<Block*>(at);
    block->source = channels::source_of(s, i * channels::kBlock);
    for (int part = 0; part < 4; ++part) {
      int32_t bias[4];
      Multiplier multiplier[4];
      for (int lane = 0; lane < 4; ++lane) {
        const int c = i * channels::kBlock + 4 * part + lane;
        bias[lane] = channels::bias_at(s, c);
        multiplier[lane] = channels::multiplier_at(s, c);
      }
      block->bias[part] = vld1q_s32(bias);
      block->rounding[part] = neon::rounding(multiplier);
    }
    for (int tap = 0; tap < 2 * channels::pairs(s); ++tap) {
      int8_t weights[16];
      for (int lane = 0; lane < 16; ++lane) {
        weights[lane] = channels::weight_at(s, tap, i * channels::kBlock + lane);
        if (weights[lane] == -128) head->paired = 0;
      }
      std::memcpy(at + sizeof(Block) + static_cast<size_t>(tap) * sizeof(weights), weights,
                  sizeof(weights));
    }
  }
}

size_t depthwise_s8_s8_1x16_neon_scratch_bytes(const DepthwiseParams& params) {
  return channels::scratch_bytes(params);
}

void depthwise_s8_s8_1x16_neon(const DepthwiseParams& params, const int8_t* input, int8_t* output,
                               const DepthwiseTile& tile, void* scratch) {
  const DepthwiseSpec& s = params.weights->spec;
  const DepthwiseGeometry& g = params.geometry;
  const int64_t channels = params.weights->channels;
  const int64_t image_size = static_cast<int64_t>(g.in_h) * g.in_w * s.in_c;
  const int8_t* image = input + tile.batch * image_size;
  const int8_t* end = input + g.batch * image_size;
  const int8_t* zero_pixel = static_cast<const int8_t*>(scratch);
  const int32x4_t zero_point = vdupq_n_s32(s.output_zero_point);
  const int8x16_t min = vdupq_n_s8(static_cast<int8_t>(s.activation_min));
  const int8x16_t max = vdupq_n_s8(static_cast<int8_t>(s.activation_max));
  const char* packed = static_cast<const char*>(params.weights->packed);
  const bool paired = reinterpret_cast<const Head*>(packed)->paired != 0;
  const bool pick = s.depth_multiplier != 1;
  const int pairs = channels::pairs(s);
  const size_t bytes_per_block = block_bytes(s);
  channels::fill_zero_pixel(params, scratch);
  for (int y = tile.row_begin; y < tile.row_end; ++y) {
    for (int x = 0; x < g.out_w; ++x) {
      const int8_t* const* pixels = channels::pixels_under(params, image, y, x, scratch);
      int8_t* to =
          output + ((static_cast<int64_t>(tile.batch) * g.out_h + y) * g.out_w + x) * channels;
      for (int c = tile.channel_begin; c < tile.channel_end; c += channels::kBlock) {
        const char* at =
            packed + sizeof(Head) + static_cast<size_t>(c / channels::kBlock) * bytes_per_block;
        const Block& block = *reinterpret_cast<const Block*>(at);
        const Pair* weights = reinterpret_cast<const Pair*>(at + sizeof(Block));
        int8x16_t y16;
        if (paired && !pick) {
          y16 = convolve<true, false>(block, weights, pairs, pixels, zero_pixel, end, zero_point);
        } else if (paired) {
          y16 = convolve<true, true>(block, weights, pairs, pixels, zero_pixel, end, zero_point);
        } else {
          y16 = convolve<false, true>(block, weights, pairs, pixels, zero_pixel, end, zero_point);
        }
        y16 = vminq_s8(vmaxq_s8(y16, min), max);
        if (tile.channel_end - c >= channels::kBlock) {
          vst1q_s8(to + c, y16);
        } else {
          int8_t stored[16];
          vst1q_s8(stored, y16);
          std::memcpy(to + c, stored, static_cast<size_t>(tile.channel_end - c));
        }
      }
    }
  }
}

}  // namespace int8x
