// int8 operators that gather several inputs for an output, or only move them.

#include <utility>
#include <vector>

#include "benchmarks/kernels/elements.h"
#include "benchmarks/kernels/families.h"
#include "delegate/kernels/copy/copy.h"
#include "delegate/kernels/copy/move.h"
#include "delegate/kernels/pool/pool.h"
#include "delegate/kernels/reduce/extremum.h"
#include "delegate/kernels/reduce/l2_normalization.h"
#include "delegate/kernels/reduce/mean.h"
#include "delegate/kernels/resize/resize_bilinear.h"

namespace int8x {
namespace {

using benchmark::State;

constexpr int32_t kHalf = kSize / 2;
constexpr int64_t kQuarter = kElements / 4;

void add_pools() {
  const auto pool = [](const char* name, PoolKind kind) {
    add_element_lines(name, [kind](State& s, arch::ArchSet archs, const Buffers& b) {
      PoolParams p;
      make_pool_params(kind, {1, kSize, kSize, kChannels, kHalf, kHalf, 2, 2, 2, 2, 0, 0}, -128,
                       127, archs, &p);
      return time_kernel(s, pool_kernel_name(p), Traffic{kQuarter, kElements, kQuarter},
                         [&] { pool_run(p, b.lhs, b.output, 0, pool_tiles(p), nullptr); });
    });
  };
  pool("average_pool_2x2", PoolKind::average);
  pool("max_pool_2x2", PoolKind::max);
}

// "outputs" of those that leave next to nothing are their inputs.
void add_reductions() {
  static constexpr int32_t kDims[] = {1, kSize, kSize, kChannels}, kAxes[] = {1, 2};
  static constexpr Traffic kTraffic = {kElements, kElements, kChannels};
  add_element_lines("mean", [](State& s, arch::ArchSet archs, const Buffers& b) {
    MeanParams p;
    make_mean_params({0.02f, 0.03f, 1, 2}, kDims, 4, kAxes, 2, archs, &p);
    auto scratch = bytes(mean_scratch_bytes(p));
    return time_kernel(s, mean_kernel_name(p), kTraffic,
                       [&] { mean_run(p, b.lhs, b.output, 0, mean_tiles(p), scratch.get()); });
  });
  add_element_lines("reduce_max", [](State& s, arch::ArchSet, const Buffers& b) {
    ExtremumParams p;
    make_extremum_params(true, kDims, 4, kAxes, 2, &p);
    return time_kernel(s, extremum_kernel_name(p), kTraffic,
                       [&] { extremum_run(p, b.lhs, b.output, 0, extremum_tiles(p), nullptr); });
  });
  add_element_lines("l2_normalization", [](State& s, arch::ArchSet, const Buffers& b) {
    L2NormalizationParams p;
    make_l2_normalization_params(3, kSize * kSize, kChannels, &p);
    return time_kernel(
        s, l2_normalization_kernel_name(p), Traffic{kElements, kElements, kElements},
        [&] { l2_normalization_run(p, b.lhs, b.output, 0, l2_normalization_tiles(p), nullptr); });
  });
}

void add_moves() {
  add_element_lines("resize_bilinear", [](State& s, arch::ArchSet archs, const Buffers& b) {
    ResizeParams p;
    make_resize_params({1, kHalf, kHalf, kChannels, kSize, kSize, false, true}, archs, &p);
    return time_kernel(
        s, resize_bilinear_kernel_name(p), Traffic{kElements, kQuarter, kElements},
        [&] { resize_bilinear_run(p, b.lhs, b.output, 0, resize_bilinear_tiles(p), nullptr); });
  });
  add_element_lines("pad", [](State& s, arch::ArchSet, const Buffers& b) {
    constexpr int32_t kInner[] = {kSize - 2, kSize - 2, kChannels}, kPadding[] = {1, 1, 1, 1, 0, 0};
    PadParams p;
    make_pad_params(kInner, kPadding, 3, 3, &p);
    return time_kernel(s, pad_kernel_name(p),
                       Traffic{kElements, (kSize - 2) * (kSize - 2) * kChannels, kElements},
                       [&] { pad_run(p, b.lhs, b.output, 0, pad_tiles(p), nullptr); });
  });
  add_element_lines("concatenation", [](State& s, arch::ArchSet, const Buffers& b) {
    constexpr int32_t kExtents[] = {kChannels / 2, kChannels / 2};
    const int8_t* inputs[] = {b.lhs, b.rhs};
    ConcatParams p;
    make_concat_params(kExtents, 2, kSize * kSize, 1, &p);
    return time_kernel(s, concat_kernel_name(p), Traffic{kElements, kElements, kElements},
                       [&] { concat_run(p, inputs, b.output, 0, concat_tiles(p), nullptr); });
  });
  const auto move = [](const char* name, std::vector<MoveAxis> axes) {
    add_element_lines(name, [axes](State& s, arch::ArchSet, const Buffers& b) {
      MoveParams p;
      make_move_params(axes, 0, kElements, 1, &p);
      return time_kernel(s, move_kernel_name(p), Traffic{kElements, kElements, kElements},
                         [&] { move_run(p, b.lhs, b.output, 0, move_tiles(p), nullptr); });
    });
  };
  move("transpose_hwc_whc",
       {{kSize, kChannels, {}}, {kSize, kSize * kChannels, {}}, {kChannels, 1, {}}});
  move("transpose_hwc_chw",
       {{kChannels, 1, {}}, {kSize, kSize * kChannels, {}}, {kSize, kChannels, {}}});
}

}  // namespace

void add_windows() {
  add_pools();
  add_reductions();
  add_moves();
}

}  // namespace int8x
