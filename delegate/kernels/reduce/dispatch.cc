#include <cmath>
#include <cstring>

#include "delegate/kernels/reduce/leaf.h"
#include "delegate/kernels/reduce/mean.h"

namespace int8x {
namespace {

constexpr MeanKernel kKernels[] = {
#define INT8X_MEAN_KERNEL(arch, name) {arch, #name, name##_add_rows, name##_sum, name##_finish},
#include "delegate/kernels/reduce/kernels.inc"
#undef INT8X_MEAN_KERNEL
};
constexpr int kKernelCount = sizeof(kKernels) / sizeof(kKernels[0]);

// Outputs of a tile. Along a kept last axis a tile is at most this wide; otherwise it is one
// output.
constexpr int64_t kInnerTile = 256;

bool usable(float scale) { return std::isfinite(scale) && scale > 0; }

// The multiplier with the division by n in it, as the reference builds it.
Multiplier divided(Multiplier m, int64_t n) {
  int shift = 63 - __builtin_clzll(static_cast<uint64_t>(n));
  if (shift > 32) shift = 32;
  if (shift > 31 + m.shift) shift = 31 + m.shift;
  return {static_cast<int32_t>((int64_t{m.multiplier} << shift) / n), m.shift - shift};
}

int64_t inner_tiles(const MeanParams& p) { return (p.inner + kInnerTile - 1) / kInnerTile; }

}  // namespace

MeanKernelList mean_kernels() { return {kKernels, kKernelCount}; }

namespace {

bool make(const MeanQuantization& q, const int32_t* dims, int rank, const int32_t* axes,
          int axis_count, bool divide, arch::ArchSet archs, MeanParams* out) {
  if (!usable(q.input_scale) || !usable(q.output_scale)) return false;
  MeanParams p = {};
  if (!make_reduce_axes(dims, rank, axes, axis_count, &p)) return false;
  const Multiplier scale =
      quantize_multiplier(static_cast<double>(q.input_scale) / static_cast<double>(q.output_scale));
  if (scale.shift > 30) return false;
  p.multiplier = divide ? divided(scale, p.count) : scale;
  p.offset = static_cast<int32_t>(-q.input_zero_point * p.count);
  p.output_zero_point = q.output_zero_point;
  p.kernel = kKernels;
  while (!arch::has(archs | arch::bit(arch::reference), p.kernel->arch)) ++p.kernel;
  *out = p;
  return true;
}

}  // namespace

bool make_mean_params(const MeanQuantization& q, const int32_t* dims, int rank, const int32_t* axes,
                      int axis_count, arch::ArchSet archs, MeanParams* out) {
  return make(q, dims, rank, axes, axis_count, true, archs, out);
}

bool make_sum_params(const MeanQuantization& q, const int32_t* dims, int rank, const int32_t* axes,
                     int axis_count, arch::ArchSet archs, MeanParams* out) {
  return make(q, dims, rank, axes, axis_count, false, archs, out);
}

int64_t mean_tiles(const MeanParams& params) { return params.outer * inner_tiles(params); }

void mean_run(const MeanParams& p, const int8_t* input, int8_t* output, int64_t tile_begin,
              int64_t tile_end, void*) {
  const int64_t blocks = inner_tiles(p);
  // The innermost reduced axis goes to the kernel, those before it are walked here.
  const int last = p.reduced_rank - 1;
  const int64_t rows = last < 0 ? 1 : p.reduced_extent[last];
  const int64_t row_stride = last < 0 ? 0 : p.reduced_stride[last];
  const bool neighbours = row_stride == 1;  // the last axis is reduced: inner is 1
  for (int64_t tile = tile_begin; tile < tile_end; ++tile) {
    const int64_t outer = tile / blocks, first = tile % blocks * kInnerTile;
    const int64_t width = p.inner - first < kInnerTile ? p.inner - first : kInnerTile;
    const int8_t* from =
        input + first + reduce_offset(outer, p.kept_rank, p.kept_extent, p.kept_stride);
    int32_t sums[kInnerTile];
    std::memset(sums, 0, static_cast<size_t>(width) * sizeof(int32_t));
    for (int64_t i = 0; i < p.count / rows; ++i) {
      const int8_t* at = from + reduce_offset(i, last, p.reduced_extent, p.reduced_stride);
      if (neighbours) {
        sums[0] = wrapping_add(sums[0], p.kernel->sum(at, rows));
      } else {
        p.kernel->add_rows(at, rows, row_stride, width, sums);
      }
    }
    p.kernel->finish(p, sums, width, output + outer * p.inner + first);
  }
}

const char* mean_kernel_name(const MeanParams& params) { return params.kernel->name; }

}  // namespace int8x
