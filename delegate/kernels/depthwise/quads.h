// Layout of the depthwise kernels that multiply four taps at once.
//
// A quad holds, for each channel, the bytes of four neighbouring pixels of one input row: what one
// dot-product instruction multiplies and adds into an int32 lane. Q quads side by side span 4Q
// pixels, in which columns = (4Q - kernel_w) / stride_w + 1 outputs find all their taps of that
// row; a column's weights are shifted by its place and are zero elsewhere.
//
// A register has `lanes` parts of 16 bytes, each holding 16 channels (a group) of one set of
// columns. A block is one, two or four neighbouring groups; lanes / groups column sets fill the
// register. Interleaving four loaded registers by unpacking bytes and then pairs leaves, in
// register j = 0 .. 3, channels 4j .. 4j + 3 of each part; packing the int32 results twice undoes
// it.

#ifndef INT8X_KERNELS_DEPTHWISE_QUADS_H_
#define INT8X_KERNELS_DEPTHWISE_QUADS_H_

#include "delegate/kernels/depthwise/leaf.h"

namespace int8x::quads {

constexpr int kGroup = 16;     // channels of a 16-byte part
constexpr int kMaxBlocks = 2;  // into which the channels of one tile fall

// The constants that follow a register's biases.
enum class Rounding : uint8_t {
  high_half,     // x86: see vector_avx2.h, multiply_narrow_biased
  doubling_high  // NEON: multipliers, then negative right shifts
};

// How a kernel lays its packed memory out.
struct Layout {
  int kernel, stride;  // of the filter, in both directions
  int lanes;           // 16-byte parts of a register: 1, 2 or 4
  int quads;           // Q
  bool wide_weights;   // int16 weights, even taps before odd ones, instead of int8
  Rounding rounding;

  constexpr int columns() const { return (4 * quads - kernel) / stride + 1; }
  constexpr int tile_channels() const { return lanes * kGroup; }
  constexpr size_t register_bytes() const { return static_cast<size_t>(lanes) * 16; }
  // biases, then: twice_even, twice_odd, offset_even, offset_odd (64-bit lanes), right, sign_shift
  // or: multiplier, -right.
  constexpr size_t constant_bytes() const {
    return register_bytes() * (rounding == Rounding::high_half ? 7 : 3);
  }
  // Weights of one row of the filter: [quad][column].
  constexpr size_t weight_bytes() const { return register_bytes() * (wide_weights ? 2 : 1); }
  // A register's share: constants, then weights [kernel row][quad][column].
  constexpr size_t share_bytes() const {
    return constant_bytes() + weight_bytes() * static_cast<size_t>(kernel * quads * columns());
  }
  constexpr size_t block_bytes() const { return 4 * share_bytes(); }
};

// Neighbouring channels that fill a register.
struct Block {
  int groups;  // 1, 2 or 4
  int first_channel;
  int channels;   // at most groups * kGroup
  size_t offset;  // into packed memory
};

// The blocks of the tile that starts at channel `first`; returns how many.
int blocks_of_tile(int channels, const Layout& layout, int first, Block blocks[kMaxBlocks]);

// Square kernel and stride of the layout, one output for each input channel, no dilation, and no
// accumulator or multiplier too large for the narrow rounding.
bool fits(const DepthwiseSpec& spec, const Layout& layout);

// Whether ties and negative results may be rounded up: the activation clamps them all.
inline bool clamps_negative(const DepthwiseSpec& spec) {
  return spec.activation_min >= spec.output_zero_point;
}

size_t packed_bytes(const DepthwiseSpec& spec, const Layout& layout);
void pack(const DepthwiseSpec& spec, const Layout& layout, void* packed);

// Output columns are done in strips, so that the interleaved rows of one stay in the first cache.
constexpr int kStripSteps = 16;
size_t scratch_bytes(const Layout& layout);

}  // namespace int8x::quads

#endif  // INT8X_KERNELS_DEPTHWISE_QUADS_H_
