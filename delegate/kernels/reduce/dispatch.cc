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

// Marks the reduced axes; false when one is out of range.
bool mark(const int32_t* axes, int axis_count, int rank, bool* reduced) {
  for (int i = 0; i < axis_count; ++i) {
    const int axis = axes[i] < 0 ? axes[i] + rank : axes[i];
    if (axis < 0 || axis >= rank) return false;
    reduced[axis] = true;
  }
  return true;
}

// Fills extents and strides, axes of the same fate merged, outermost first.
bool merge_axes(const int32_t* dims, int rank, const bool* reduced, MeanParams* p) {
  int64_t extent[kMaxMeanRank], stride[kMaxMeanRank];
  bool fate[kMaxMeanRank];
  int merged = 0;
  int64_t step = 1;
  for (int axis = rank - 1; axis >= 0; --axis) {
    const int64_t n = dims[axis];
    if (n <= 0) return false;
    if (n > 1) {
      if (merged > 0 && fate[merged - 1] == reduced[axis]) {
        extent[merged - 1] *= n;
      } else {
        extent[merged] = n;
        stride[merged] = step;
        fate[merged++] = reduced[axis];
      }
    }
    if (__builtin_mul_overflow(step, n, &step)) return false;
  }
  p->inner = p->outer = p->count = 1;
  for (int i = merged - 1; i >= 0; --i) {
    if (fate[i]) {
      p->reduced_extent[p->reduced_rank] = extent[i];
      p->reduced_stride[p->reduced_rank++] = stride[i];
      p->count *= extent[i];
    } else if (stride[i] == 1) {
      p->inner = extent[i];
    } else {
      p->kept_extent[p->kept_rank] = extent[i];
      p->kept_stride[p->kept_rank++] = stride[i];
      p->outer *= extent[i];
    }
  }
  return p->count <= INT32_MAX;
}

// The multiplier with the division by n in it, as the reference builds it.
Multiplier divided(Multiplier m, int64_t n) {
  int shift = 63 - __builtin_clzll(static_cast<uint64_t>(n));
  if (shift > 32) shift = 32;
  if (shift > 31 + m.shift) shift = 31 + m.shift;
  return {static_cast<int32_t>((int64_t{m.multiplier} << shift) / n), m.shift - shift};
}

int64_t offset_of(int64_t index, int rank, const int64_t* extent, const int64_t* stride) {
  int64_t offset = 0;
  for (int axis = rank - 1; axis >= 0; --axis) {
    offset += index % extent[axis] * stride[axis];
    index /= extent[axis];
  }
  return offset;
}

int64_t inner_tiles(const MeanParams& p) { return (p.inner + kInnerTile - 1) / kInnerTile; }

}  // namespace

MeanKernelList mean_kernels() { return {kKernels, kKernelCount}; }

bool make_mean_params(const MeanQuantization& q, const int32_t* dims, int rank, const int32_t* axes,
                      int axis_count, arch::ArchSet archs, MeanParams* out) {
  if (!usable(q.input_scale) || !usable(q.output_scale)) return false;
  if (rank < 0 || rank > kMaxMeanRank) return false;
  bool reduced[kMaxMeanRank] = {};
  MeanParams p = {};
  if (!mark(axes, axis_count, rank, reduced) || !merge_axes(dims, rank, reduced, &p)) return false;
  const Multiplier scale =
      quantize_multiplier(static_cast<double>(q.input_scale) / static_cast<double>(q.output_scale));
  if (scale.shift > 30) return false;
  p.multiplier = divided(scale, p.count);
  p.offset = static_cast<int32_t>(-q.input_zero_point * p.count);
  p.output_zero_point = q.output_zero_point;
  p.kernel = kKernels;
  while (!arch::has(archs | arch::bit(arch::reference), p.kernel->arch)) ++p.kernel;
  *out = p;
  return true;
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
        input + first + offset_of(outer, p.kept_rank, p.kept_extent, p.kept_stride);
    int32_t sums[kInnerTile];
    std::memset(sums, 0, static_cast<size_t>(width) * sizeof(int32_t));
    for (int64_t i = 0; i < p.count / rows; ++i) {
      const int8_t* at = from + offset_of(i, last, p.reduced_extent, p.reduced_stride);
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
