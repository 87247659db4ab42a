#include "delegate/kernels/depthwise/quads.h"

#include <cstring>

namespace int8x::quads {
namespace {

constexpr int kMaxRight = 22;  // leaves room for output_zero_point << right

int32_t magnitude(int32_t x) { return x < 0 ? -x : x; }

// The largest |accumulator| of channel c, and |folded bias|, are below 2^30.
bool accumulator_is_narrow(const DepthwiseSpec& s, int32_t c) {
  int64_t reach = s.bias == nullptr ? 0 : s.bias[c];
  if (reach < 0) reach = -reach;
  for (int32_t tap = 0; tap < s.kernel_h * s.kernel_w; ++tap) {
    reach += int64_t{256 + 128} * magnitude(s.filter[int64_t{tap} * s.in_c + c]);
  }
  return reach < int64_t{1} << 30;
}

// Channel of int32 lane `lane` of register j, or -1 where the block has none.
int channel_of(const Block& block, int j, int lane) {
  const int part = lane / 4 % block.groups;
  const int in_block = part * kGroup + 4 * j + lane % 4;
  return in_block < block.channels ? block.first_channel + in_block : -1;
}

struct Constants {
  uint32_t bias;  // signed; plus 2^31 for high_half
  Multiplier multiplier;
};

Constants constants_of(const DepthwiseSpec& s, const Layout& layout, int c) {
  const bool high_half = layout.rounding == Rounding::high_half;
  if (c < 0) return {high_half ? uint32_t{1} << 31 : 0, {0, 0}};
  // x86 multiplies unsigned pixels: each is 128 more than it was.
  const int32_t bias = depthwise_folded_bias(s, c, high_half ? 128 : 0);
  return {static_cast<uint32_t>(bias) + (high_half ? uint32_t{1} << 31 : 0),
          depthwise_multiplier(s, c)};
}

void pack_high_half(const DepthwiseSpec& s, const Layout& layout, const Block& block, int j,
                    unsigned char* to) {
  const int lanes32 = layout.lanes * 4;
  for (int lane = 0; lane < lanes32; ++lane) {
    const Constants k = constants_of(s, layout, channel_of(block, j, lane));
    const int32_t right = -k.multiplier.shift;
    const uint32_t half = right > 0 ? uint32_t{1} << (right - 1) : 0;
    const uint32_t nudge = clamps_negative(s) || right == 0 ? half : half - 1;
    // Modulo 2^32, as the kernel adds it.
    const uint32_t zero_point = static_cast<uint32_t>(s.output_zero_point) << right;
    const uint32_t above = nudge - static_cast<uint32_t>(k.multiplier.multiplier) + zero_point;
    const uint64_t twice = 2 * static_cast<uint64_t>(k.multiplier.multiplier);
    const uint64_t offset = (uint64_t{above} << 32) + (uint64_t{1} << 31);
    const int32_t sign_shift = right > 0 ? 31 : 32;
    const size_t size = layout.register_bytes();
    const size_t at32 = static_cast<size_t>(lane) * 4, at64 = static_cast<size_t>(lane / 2) * 8;
    const size_t odd = lane % 2 == 1 ? size : 0;
    std::memcpy(to + at32, &k.bias, 4);
    std::memcpy(to + 1 * size + odd + at64, &twice, 8);
    std::memcpy(to + 3 * size + odd + at64, &offset, 8);
    std::memcpy(to + 5 * size + at32, &right, 4);
    std::memcpy(to + 6 * size + at32, &sign_shift, 4);
  }
}

void pack_doubling_high(const DepthwiseSpec& s, const Layout& layout, const Block& block, int j,
                        unsigned char* to) {
  for (int lane = 0; lane < layout.lanes * 4; ++lane) {
    const Constants k = constants_of(s, layout, channel_of(block, j, lane));
    const size_t size = layout.register_bytes(), at = static_cast<size_t>(lane) * 4;
    std::memcpy(to + at, &k.bias, 4);
    std::memcpy(to + size + at, &k.multiplier.multiplier, 4);
    std::memcpy(to + 2 * size + at, &k.multiplier.shift, 4);
  }
}

// The weight that byte `tap` of `quad` meets in `column`.
int8_t weight_at(const DepthwiseSpec& s, const Layout& layout, int ky, int quad, int column,
                 int tap, int c) {
  const int kx = 4 * quad + tap - column * layout.stride;
  if (c < 0 || kx < 0 || kx >= layout.kernel) return 0;
  return s.filter[(int64_t{ky} * layout.kernel + kx) * s.in_c + c];
}

void pack_weights(const DepthwiseSpec& s, const Layout& layout, const Block& block, int j,
                  unsigned char* to) {
  const size_t size = layout.register_bytes();
  for (int ky = 0; ky < layout.kernel; ++ky) {
    for (int quad = 0; quad < layout.quads; ++quad) {
      for (int column = 0; column < layout.columns(); ++column, to += layout.weight_bytes()) {
        for (int lane = 0; lane < layout.lanes * 4; ++lane) {
          for (int tap = 0; tap < 4; ++tap) {
            const int8_t w =
                weight_at(s, layout, ky, quad, column, tap, channel_of(block, j, lane));
            if (layout.wide_weights) {
              const int16_t wide = w;
              const int at = lane * 4 + tap / 2 * 2;
              std::memcpy(to + (tap % 2 == 1 ? size : 0) + at, &wide, 2);
            } else {
              std::memcpy(to + lane * 4 + tap, &w, 1);
            }
          }
        }
      }
    }
  }
}

}  // namespace

int blocks_of_tile(int channels, const Layout& layout, int first, Block blocks[kMaxBlocks]) {
  int rest = channels - first;
  if (rest > layout.tile_channels()) rest = layout.tile_channels();
  int groups = (rest + kGroup - 1) / kGroup;
  size_t offset = static_cast<size_t>(first / layout.tile_channels()) * layout.block_bytes();
  int count = 0;
  while (groups > 0) {
    const int taken = groups == 3 ? 2 : groups;
    const int width = taken * kGroup < rest ? taken * kGroup : rest;
    blocks[count++] = {taken, first, width, offset};
    first += width;
    rest -= width;
    groups -= taken;
    offset += layout.block_bytes();
  }
  return count;
}

bool fits(const DepthwiseSpec& s, const Layout& layout) {
  if (s.depth_multiplier != 1 || s.kernel_h != layout.kernel || s.kernel_w != layout.kernel ||
      s.stride_h != layout.stride || s.stride_w != layout.stride || s.dilation_h != 1 ||
      s.dilation_w != 1) {
    return false;
  }
  for (int32_t c = 0; c < s.in_c; ++c) {
    const int32_t shift = depthwise_multiplier(s, c).shift;
    if (shift > 0 || shift < -kMaxRight || !accumulator_is_narrow(s, c)) return false;
  }
  return true;
}

size_t packed_bytes(const DepthwiseSpec& s, const Layout& layout) {
  const size_t tiles = static_cast<size_t>((s.in_c - 1) / layout.tile_channels());
  return (tiles + kMaxBlocks) * layout.block_bytes();
}

void pack(const DepthwiseSpec& s, const Layout& layout, void* packed) {
  for (int first = 0; first < s.in_c; first += layout.tile_channels()) {
    Block blocks[kMaxBlocks];
    const int count = blocks_of_tile(s.in_c, layout, first, blocks);
    for (int i = 0; i < count; ++i) {
      for (int j = 0; j < 4; ++j) {
        unsigned char* to = static_cast<unsigned char*>(packed) + blocks[i].offset +
                            static_cast<size_t>(j) * layout.share_bytes();
        if (layout.rounding == Rounding::high_half) {
          pack_high_half(s, layout, blocks[i], j, to);
        } else {
          pack_doubling_high(s, layout, blocks[i], j, to);
        }
        pack_weights(s, layout, blocks[i], j, to + layout.constant_bytes());
      }
    }
  }
}

size_t scratch_bytes(const Layout& layout) {
  // One more register's worth of pixels: what taps outside the input read.
  return layout.register_bytes() *
         static_cast<size_t>(layout.kernel * kStripSteps * layout.quads * 4 + 1);
}

}  // namespace int8x::quads
