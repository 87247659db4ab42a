#include "delegate/kernels/reduce/extremum.h"

#include <cstring>

namespace int8x {
namespace {

constexpr int64_t kInnerTile = 256;

int64_t inner_tiles(const ReduceAxes& p) { return (p.inner + kInnerTile - 1) / kInnerTile; }

template <bool maximum>
int8_t better(int8_t a, int8_t b) {
  return (maximum ? a > b : a < b) ? a : b;
}

template <bool maximum>
void run(const ExtremumParams& p, const int8_t* input, int8_t* output, int64_t tile_begin,
         int64_t tile_end) {
  const int64_t blocks = inner_tiles(p);
  // The innermost reduced axis is walked in a plain loop.
  const int last = p.reduced_rank - 1;
  const int64_t rows = last < 0 ? 1 : p.reduced_extent[last];
  const int64_t stride = last < 0 ? 0 : p.reduced_stride[last];
  for (int64_t tile = tile_begin; tile < tile_end; ++tile) {
    const int64_t outer = tile / blocks, first = tile % blocks * kInnerTile;
    const int64_t width = p.inner - first < kInnerTile ? p.inner - first : kInnerTile;
    const int8_t* from =
        input + first + reduce_offset(outer, p.kept_rank, p.kept_extent, p.kept_stride);
    int8_t best[kInnerTile];
    std::memcpy(best, from, static_cast<size_t>(width));
    for (int64_t i = 0; i < p.count / rows; ++i) {
      const int8_t* at = from + reduce_offset(i, last, p.reduced_extent, p.reduced_stride);
      if (width == 1) {
        int8_t one = best[0];
        for (int64_t r = 0; r < rows; ++r) one = better<maximum>(one, at[r * stride]);
        best[0] = one;
        continue;
      }
      for (int64_t r = 0; r < rows; ++r, at += stride) {
        for (int64_t c = 0; c < width; ++c) best[c] = better<maximum>(best[c], at[c]);
      }
    }
    std::memcpy(output + outer * p.inner + first, best, static_cast<size_t>(width));
  }
}

}  // namespace

bool make_extremum_params(bool maximum, const int32_t* dims, int rank, const int32_t* axes,
                          int axis_count, ExtremumParams* out) {
  ExtremumParams p = {};
  if (!make_reduce_axes(dims, rank, axes, axis_count, &p)) return false;
  p.maximum = maximum;
  *out = p;
  return true;
}

int64_t extremum_tiles(const ExtremumParams& params) { return params.outer * inner_tiles(params); }

void extremum_run(const ExtremumParams& params, const int8_t* input, int8_t* output,
                  int64_t tile_begin, int64_t tile_end, void*) {
  if (params.maximum) {
    run<true>(params, input, output, tile_begin, tile_end);
  } else {
    run<false>(params, input, output, tile_begin, tile_end);
  }
}

}  // namespace int8x
