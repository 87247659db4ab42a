#include "delegate/kernels/resize/leaf.h"
#include "delegate/kernels/resize/resize_bilinear.h"

namespace int8x {
namespace {

constexpr ResizeKernel kKernels[] = {
#define INT8X_RESIZE_KERNEL(arch, name) {arch, #name, name},
#include "delegate/kernels/resize/kernels.inc"
#undef INT8X_RESIZE_KERNEL
};
constexpr int kKernelCount = sizeof(kKernels) / sizeof(kKernels[0]);

constexpr int64_t kOne = 1024;

// False when an output has no input.
bool make_points(int64_t n, int64_t m, bool align_corners, bool half_pixel_centers,
                 std::vector<ResizePoint>* points) {
  const int64_t step =
      align_corners && m > 1 ? (kOne * (n - 1) + (m - 1) / 2) / (m - 1) : (kOne * n + m / 2) / m;
  if (step > INT32_MAX) return false;  // the reference holds it in 32 bits
  points->resize(static_cast<size_t>(m));
  for (int64_t i = 0; i < m; ++i) {
    const int64_t at = i * step + (half_pixel_centers ? step / 2 - kOne / 2 : 0);
    if (at > INT32_MAX - kOne) return false;
    const int64_t low = at / kOne > 0 ? at / kOne : 0;
    const int64_t above = (at + kOne - 1) / kOne, high = above < n - 1 ? above : n - 1;
    if (low > n - 1 || high < 0) return false;
    (*points)[static_cast<size_t>(i)] = {static_cast<int32_t>(low), static_cast<int32_t>(high),
                                         static_cast<int32_t>(at - kOne * low)};
  }
  return true;
}

}  // namespace

ResizeKernelList resize_kernels() { return {kKernels, kKernelCount}; }

bool make_resize_params(const ResizeGeometry& g, arch::ArchSet archs, ResizeParams* out) {
  for (int32_t size : {g.batch, g.in_h, g.in_w, g.channels, g.out_h, g.out_w}) {
    if (size <= 0) return false;
  }
  if (g.align_corners && g.half_pixel_centers) return false;
  out->geometry = g;
  if (!make_points(g.in_h, g.out_h, g.align_corners, g.half_pixel_centers, &out->rows) ||
      !make_points(g.in_w, g.out_w, g.align_corners, g.half_pixel_centers, &out->columns)) {
    return false;
  }
  out->kernel = kKernels;
  while (!arch::has(archs | arch::bit(arch::reference), out->kernel->arch)) ++out->kernel;
  return true;
}

int64_t resize_bilinear_tiles(const ResizeParams& params) {
  return int64_t{params.geometry.batch} * params.geometry.out_h;
}

void resize_bilinear_run(const ResizeParams& p, const int8_t* input, int8_t* output,
                         int64_t tile_begin, int64_t tile_end, void*) {
  const ResizeGeometry& g = p.geometry;
  const int64_t pixel = g.channels, line = g.in_w * pixel;
  for (int64_t tile = tile_begin; tile < tile_end; ++tile) {
    const int8_t* image = input + tile / g.out_h * g.in_h * line;
    const ResizePoint& row = p.rows[static_cast<size_t>(tile % g.out_h)];
    int8_t* to = output + tile * g.out_w * pixel;
    ResizeCorners corners;
    corners.y[0] = 1024 - row.fraction;
    corners.y[1] = row.fraction;
    for (const ResizePoint& column : p.columns) {
      for (int y = 0; y < 2; ++y) {
        const int8_t* from = image + (y == 0 ? row.low : row.high) * line;
        corners.at[y][0] = from + column.low * pixel;
        corners.at[y][1] = from + column.high * pixel;
      }
      corners.x[0] = 1024 - column.fraction;
      corners.x[1] = column.fraction;
      p.kernel->run(corners, pixel, to);
      to += pixel;
    }
  }
}

const char* resize_bilinear_kernel_name(const ResizeParams& params) { return params.kernel->name; }

}  // namespace int8x
