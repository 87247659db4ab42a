// What the channelwise depthwise kernels share: those that serve every filter, stride, dilation and
// depth multiplier, 16 output channels and two taps at a time.

#ifndef INT8X_KERNELS_DEPTHWISE_CHANNELS_H_
#define INT8X_KERNELS_DEPTHWISE_CHANNELS_H_

#include "delegate/kernels/depthwise/leaf.h"

namespace int8x::channels {

constexpr int kBlock = 16;  // output channels

// Taps in pairs; the last may be a tap that is not there.
int pairs(const DepthwiseSpec& s);

int blocks(const DepthwiseSpec& s);

// The weight of tap `tap` and output channel c; 0 where there is none.
int8_t weight_at(const DepthwiseSpec& s, int tap, int c);

// The multiplier and folded bias of channel c; 0 where there is none.
Multiplier multiplier_at(const DepthwiseSpec& s, int c);
int32_t bias_at(const DepthwiseSpec& s, int c);

// Scratch: a pixel of zero points, then the pixels under the filter.
size_t scratch_bytes(const DepthwiseParams& params);

// Fills scratch for the output pixel (y, x) of `image` and returns the pixels' addresses, two for
// each pair. A tap outside the input, or none, is the pixel of zero points.
void fill_zero_pixel(const DepthwiseParams& params, void* scratch);
const int8_t* const* pixels_under(const DepthwiseParams& params, const int8_t* image, int y, int x,
                                  void* scratch);

// Where the input channels of a block start, and how the 16 output channels pick from the 16 bytes
// there: picks[i] = (first + i) / depth_multiplier - start.
struct Source {
  int start;
  alignas(16) uint8_t picks[kBlock];
};
Source source_of(const DepthwiseSpec& s, int first);

}  // namespace int8x::channels

#endif  // INT8X_KERNELS_DEPTHWISE_CHANNELS_H_
