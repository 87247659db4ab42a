#include "delegate/kernels/pool/leaf.h"
#include "delegate/kernels/pool/pool.h"

namespace int8x {
namespace {

constexpr PoolKernel kKernels[] = {
#define INT8X_POOL_KERNEL(arch, name, kind) {arch, #name, kind, name},
#include "delegate/kernels/pool/kernels.inc"
#undef INT8X_POOL_KERNEL
};
constexpr int kKernelCount = sizeof(kKernels) / sizeof(kKernels[0]);

constexpr int64_t kMaxTaps = int64_t{1} << 23;

// The part of [start, start + kernel) that lies in [0, extent).
struct Span {
  int32_t begin, end;
};
Span clip(int64_t start, int32_t kernel, int32_t extent) {
  const int64_t end = start + kernel;
  return {static_cast<int32_t>(start < 0 ? 0 : start),
          static_cast<int32_t>(end > extent ? extent : end)};
}

// First and last window decide: those between them reach no further out.
bool every_window_has_taps(int32_t out, int32_t stride, int32_t pad, int32_t kernel,
                           int32_t extent) {
  return int64_t{kernel} > pad && int64_t{out - 1} * stride - pad < extent;
}

}  // namespace

PoolKernelList pool_kernels() { return {kKernels, kKernelCount}; }

bool make_pool_params(PoolKind kind, const PoolGeometry& g, int32_t activation_min,
                      int32_t activation_max, arch::ArchSet archs, PoolParams* out) {
  const int32_t sizes[] = {g.batch, g.in_h,     g.in_w,     g.channels, g.out_h,
                           g.out_w, g.kernel_h, g.kernel_w, g.stride_h, g.stride_w};
  for (int32_t size : sizes) {
    if (size <= 0) return false;
  }
  if (g.pad_top < 0 || g.pad_left < 0 || activation_min > activation_max) return false;
  if (!every_window_has_taps(g.out_h, g.stride_h, g.pad_top, g.kernel_h, g.in_h) ||
      !every_window_has_taps(g.out_w, g.stride_w, g.pad_left, g.kernel_w, g.in_w) ||
      int64_t{g.kernel_h} * g.kernel_w >= kMaxTaps) {
    return false;
  }
  *out = PoolParams{kind, g, activation_min, activation_max, kKernels};
  archs |= arch::bit(arch::reference);
  while (out->kernel->kind != kind || !arch::has(archs, out->kernel->arch)) ++out->kernel;
  return true;
}

int64_t pool_tiles(const PoolParams& params) {
  return int64_t{params.geometry.batch} * params.geometry.out_h;
}

void pool_run(const PoolParams& params, const int8_t* input, int8_t* output, int64_t tile_begin,
              int64_t tile_end, void*) {
  const PoolGeometry& g = params.geometry;
  const int64_t row = int64_t{g.in_w} * g.channels;
  for (int64_t tile = tile_begin; tile < tile_end; ++tile) {
    const int64_t batch = tile / g.out_h, out_y = tile % g.out_h;
    const Span ys = clip(out_y * g.stride_h - g.pad_top, g.kernel_h, g.in_h);
    const int8_t* rows = input + (batch * g.in_h + ys.begin) * row;
    int8_t* to = output + tile * g.out_w * g.channels;
    for (int64_t out_x = 0; out_x < g.out_w; ++out_x, to += g.channels) {
      const Span xs = clip(out_x * g.stride_w - g.pad_left, g.kernel_w, g.in_w);
      const PoolWindow window = {rows + int64_t{xs.begin} * g.channels, row, ys.end - ys.begin,
                                 xs.end - xs.begin};
      params.kernel->run(params, window, to);
    }
  }
}

const char* pool_kernel_name(const PoolParams& params) { return params.kernel->name; }

}  // namespace int8x
