#include <initializer_list>

#include "delegate/kernels/wide/pointwise.h"

namespace int8x {
namespace {

bool has_taps(int32_t out, int32_t stride, int32_t pad, int32_t kernel, int32_t extent) {
  return int64_t{kernel} > pad && int64_t{out - 1} * stride - pad < extent;
}

int16_t average(int32_t sum, int32_t count, const WidePoolParams& p) {
  const int32_t half = count / 2;
  const int32_t mean = (sum > 0 ? sum + half : sum - half) / count;
  return static_cast<int16_t>(clamp(mean, p.activation_min, p.activation_max));
}

}  // namespace

bool valid_wide_pool(const WidePoolParams& p) {
  for (int32_t size : {p.batch, p.in_h, p.in_w, p.channels, p.out_h, p.out_w, p.kernel_h,
                       p.kernel_w, p.stride_h, p.stride_w}) {
    if (size <= 0) return false;
  }
  return p.pad_top >= 0 && p.pad_left >= 0 && p.activation_min <= p.activation_max &&
         int64_t{p.kernel_h} * p.kernel_w < (1 << 15) &&
         has_taps(p.out_h, p.stride_h, p.pad_top, p.kernel_h, p.in_h) &&
         has_taps(p.out_w, p.stride_w, p.pad_left, p.kernel_w, p.in_w);
}

void wide_pool_run(const WidePoolParams& p, const int16_t* input, int16_t* output,
                   int64_t tile_begin, int64_t tile_end, void*) {
  for (int64_t tile = tile_begin; tile < tile_end; ++tile) {
    const int64_t batch = tile / p.out_h, y = tile % p.out_h;
    const int64_t top = y * p.stride_h - p.pad_top;
    const int64_t y0 = top < 0 ? 0 : top;
    const int64_t y1 = top + p.kernel_h < p.in_h ? top + p.kernel_h : p.in_h;
    for (int64_t x = 0; x < p.out_w; ++x) {
      const int64_t left = x * p.stride_w - p.pad_left;
      const int64_t x0 = left < 0 ? 0 : left;
      const int64_t x1 = left + p.kernel_w < p.in_w ? left + p.kernel_w : p.in_w;
      int16_t* to = output + (tile * p.out_w + x) * p.channels;
      for (int32_t c = 0; c < p.channels; ++c) {
        int32_t sum = 0, most = INT16_MIN;
        for (int64_t iy = y0; iy < y1; ++iy) {
          const int16_t* from = input + ((batch * p.in_h + iy) * p.in_w + x0) * p.channels + c;
          for (int64_t ix = x0; ix < x1; ++ix, from += p.channels) {
            sum += *from;
            if (*from > most) most = *from;
          }
        }
        const int32_t count = static_cast<int32_t>((y1 - y0) * (x1 - x0));
        to[c] = p.average ? average(sum, count, p)
                          : static_cast<int16_t>(clamp(most, p.activation_min, p.activation_max));
      }
    }
  }
}

}  // namespace int8x
