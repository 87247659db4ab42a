// Output pixels of 16x8 convolutions and the inputs under their windows. Not for instruction-set
// files.

#ifndef INT8X_KERNELS_WIDE_WINDOW_H_
#define INT8X_KERNELS_WIDE_WINDOW_H_

#include <cstring>

#include "delegate/kernels/wide/wide_conv.h"

namespace int8x {

constexpr int64_t kWidePixels = 24;  // of a tile

inline int group_in_c(const WideConvSpec& s) { return s.depthwise ? 1 : s.in_c / s.groups; }

struct Pixel {
  int64_t batch;
  int y, x;
};

inline Pixel pixel_at(const WideConvGeometry& g, int64_t index) {
  return {index / g.out_w / g.out_h, static_cast<int>(index / g.out_w % g.out_h),
          static_cast<int>(index % g.out_w)};
}

// The input of tap (ky, kx), or null where it lies outside.
inline const int16_t* tap(const WideConvParams& p, const int16_t* input, const Pixel& at, int ky,
                          int kx) {
  const WideConvGeometry& g = p.geometry;
  const int iy = at.y * g.stride_h + ky * g.dilation_h - g.pad_top;
  const int ix = at.x * g.stride_w + kx * g.dilation_w - g.pad_left;
  if (iy < 0 || iy >= g.in_h || ix < 0 || ix >= g.in_w) return nullptr;
  return input + ((at.batch * g.in_h + iy) * g.in_w + ix) * p.weights->spec.in_c;
}

// The window of one output as a row of the left side; zero, which is the zero point, outside.
inline void gather(const WideConvParams& p, const int16_t* input, const Pixel& at, int group,
                   int16_t* row) {
  const WideConvSpec& s = p.weights->spec;
  const size_t channels = static_cast<size_t>(group_in_c(s));
  int16_t* to = row;
  for (int ky = 0; ky < s.kernel_h; ++ky) {
    for (int kx = 0; kx < s.kernel_w; ++kx, to += channels) {
      const int16_t* from = tap(p, input, at, ky, kx);
      if (from == nullptr) {
        std::memset(to, 0, channels * sizeof(int16_t));
      } else {
        std::memcpy(to, from + static_cast<size_t>(group) * channels, channels * sizeof(int16_t));
      }
    }
  }
  std::memset(to, 0, static_cast<size_t>(row + p.weights->padded_k - to) * sizeof(int16_t));
}

}  // namespace int8x

#endif  // INT8X_KERNELS_WIDE_WINDOW_H_
