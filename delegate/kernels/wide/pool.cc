#include <initializer_list>

#include "delegate/kernels/wide/pointwise.h"

namespace int8x {
namespace {

bool has_taps(int32_t out, int32_t stride, int32_t pad, int32_t kernel, int32_t extent) {
  return int64_t{kernel} > pad && int64_t{out - 1} * stride - pad < extent;
}

constexpr WidePoolKernel kKernels[] = {
#define INT8X_WIDE_POOL_KERNEL(arch, name, average) {arch, #name, average, name},
#include "delegate/kernels/wide/kernels.inc"
};

}  // namespace

WidePoolKernelList wide_pool_kernels() { return {kKernels, sizeof(kKernels) / sizeof(*kKernels)}; }

const WidePoolKernel* wide_pool_kernel(bool average, arch::ArchSet archs) {
  const WidePoolKernel* kernel = kKernels;
  archs |= arch::bit(arch::reference);
  while (kernel->average != average || !arch::has(archs, kernel->arch)) ++kernel;
  return kernel;
}

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
      p.kernel->run({input + ((batch * p.in_h + y0) * p.in_w + x0) * p.channels,
                     int64_t{p.in_w} * p.channels, static_cast<int32_t>(y1 - y0),
                     static_cast<int32_t>(x1 - x0), p.channels, p.activation_min, p.activation_max,
                     output + (tile * p.out_w + x) * p.channels});
    }
  }
}

}  // namespace int8x
