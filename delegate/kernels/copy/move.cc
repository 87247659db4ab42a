#include "delegate/kernels/copy/move.h"

#include <cstring>

namespace int8x {
namespace {

constexpr int64_t kTileBytes = 32768;

// A table with equal steps is a stride.
void simplify(MoveAxis* axis, int64_t* base) {
  std::vector<int64_t>& offsets = axis->offsets;
  if (offsets.empty()) return;
  const int64_t step = offsets.size() > 1 ? offsets[1] - offsets[0] : 0;
  for (size_t i = 1; i < offsets.size(); ++i) {
    if (offsets[i] - offsets[i - 1] != step) return;
  }
  *base += offsets[0];
  axis->stride = step;
  offsets.clear();
}

// The least and the greatest place that the axis adds.
void widen(const MoveAxis& axis, int64_t* low, int64_t* high) {
  int64_t least = 0, most = 0;
  if (axis.offsets.empty()) {
    (axis.stride < 0 ? least : most) = (axis.extent - 1) * axis.stride;
  } else {
    least = most = axis.offsets[0];
    for (int64_t offset : axis.offsets) {
      if (offset < least) least = offset;
      if (offset > most) most = offset;
    }
  }
  *low += least;
  *high += most;
}

int64_t place(const MoveParams& p, int axis, int64_t i) {
  return p.offsets[axis].empty() ? i * p.stride[axis] : p.offsets[axis][static_cast<size_t>(i)];
}

int64_t rows(const MoveParams& p) {
  int64_t n = 1;
  for (int axis = 0; axis < p.rank - 1; ++axis) n *= p.extent[axis];
  return n;
}

int64_t rows_per_tile(const MoveParams& p) {
  const int64_t n = kTileBytes / p.extent[p.rank - 1];
  return n < 1 ? 1 : n;
}

// One run along the last axis.
void copy_run(const MoveParams& p, const int8_t* from, int8_t* to) {
  const int last = p.rank - 1;
  const int64_t n = p.extent[last], stride = p.stride[last];
  if (!p.offsets[last].empty()) {
    const int64_t* offsets = p.offsets[last].data();
    for (int64_t i = 0; i < n; ++i) to[i] = from[offsets[i]];
  } else if (stride == 1) {
    std::memcpy(to, from, static_cast<size_t>(n));
  } else if (stride == 0) {
    std::memset(to, *from, static_cast<size_t>(n));
  } else {
    for (int64_t i = 0; i < n; ++i) to[i] = from[i * stride];
  }
}

// Neighbouring runs along the axis before the last.
template <int kBytes>
void copy_short_runs(const MoveParams& p, const int8_t* from, int8_t* to, int64_t begin,
                     int64_t end) {
  for (int64_t i = begin; i < end; ++i, to += kBytes) {
    std::memcpy(to, from + place(p, p.rank - 2, i), kBytes);
  }
}

void copy_runs(const MoveParams& p, const int8_t* from, int8_t* to, int64_t begin, int64_t end) {
  const int last = p.rank - 1;
  const int64_t n = p.extent[last];
  if (p.stride[last] == 1 && p.offsets[last].empty()) {
    switch (n) {
      case 1:
        return copy_short_runs<1>(p, from, to, begin, end);
      case 2:
        return copy_short_runs<2>(p, from, to, begin, end);
      case 4:
        return copy_short_runs<4>(p, from, to, begin, end);
      case 8:
        return copy_short_runs<8>(p, from, to, begin, end);
      case 16:
        return copy_short_runs<16>(p, from, to, begin, end);
      default:
        break;
    }
  } else if (p.stride[last - 1] == 1 && p.offsets[last - 1].empty() && p.offsets[last].empty()) {
    // A transposed block: a cache line of input at a time.
    constexpr int64_t kLine = 32;
    for (int64_t first = begin; first < end; first += kLine) {
      const int64_t width = end - first < kLine ? end - first : kLine;
      for (int64_t i = 0; i < n; ++i) {
        const int8_t* line = from + first + i * p.stride[last];
        int8_t* column = to + (first - begin) * n + i;
        for (int64_t k = 0; k < width; ++k) column[k * n] = line[k];
      }
    }
    return;
  }
  for (int64_t i = begin; i < end; ++i, to += n) copy_run(p, from + place(p, last - 1, i), to);
}

}  // namespace

bool make_move_params(const std::vector<MoveAxis>& axes, int64_t base, int64_t input_elements,
                      int element_bytes, MoveParams* out) {
  MoveParams p = {};
  int64_t low = base, high = base;
  std::vector<MoveAxis> kept;
  for (const MoveAxis& axis : axes) {
    if (axis.extent <= 0 || axis.extent > INT32_MAX || axis.stride > INT32_MAX ||
        axis.stride < -INT32_MAX) {
      return false;
    }
    if (!axis.offsets.empty() && axis.offsets.size() != static_cast<size_t>(axis.extent)) {
      return false;
    }
    widen(axis, &low, &high);
    kept.push_back(axis);
  }
  if (low < 0 || high >= input_elements || element_bytes < 1) return false;
  for (MoveAxis& axis : kept) {
    simplify(&axis, &base);
    axis.stride *= element_bytes;
    for (int64_t& offset : axis.offsets) offset *= element_bytes;
  }
  if (element_bytes > 1) kept.push_back({element_bytes, 1, {}});
  p.base = base * element_bytes;
  std::vector<MoveAxis> merged;
  for (MoveAxis& axis : kept) {
    if (axis.extent == 1 && axis.offsets.empty()) continue;
    if (!merged.empty()) {
      MoveAxis& outer = merged.back();
      if (axis.offsets.empty() && outer.offsets.empty() &&
          outer.stride == axis.extent * axis.stride) {
        outer.extent *= axis.extent;
        outer.stride = axis.stride;
        continue;
      }
    }
    merged.push_back(axis);
  }
  while (merged.size() < 2) merged.insert(merged.begin(), {1, 0, {}});
  if (merged[1].extent == 1 && merged.size() == 2) merged[1].stride = 1;
  if (merged.size() > static_cast<size_t>(kMaxMoveRank)) return false;
  p.rank = static_cast<int>(merged.size());
  for (int axis = 0; axis < p.rank; ++axis) {
    MoveAxis& from = merged[static_cast<size_t>(axis)];
    p.extent[axis] = from.extent;
    p.stride[axis] = from.stride;
    p.offsets[axis] = std::move(from.offsets);
  }
  *out = std::move(p);
  return true;
}

int64_t move_tiles(const MoveParams& p) {
  const int64_t per_tile = rows_per_tile(p);
  return (rows(p) + per_tile - 1) / per_tile;
}

void move_run(const MoveParams& p, const int8_t* input, int8_t* output, int64_t tile_begin,
              int64_t tile_end, void*) {
  const int64_t per_tile = rows_per_tile(p), all = rows(p);
  const int64_t end = tile_end * per_tile < all ? tile_end * per_tile : all;
  const int64_t run = p.extent[p.rank - 1], runs = p.extent[p.rank - 2];
  for (int64_t row = tile_begin * per_tile; row < end;) {
    const int64_t first = row % runs;
    int64_t count = runs - first;
    if (count > end - row) count = end - row;
    const int8_t* from = input + p.base;
    int64_t rest = row / runs;
    for (int axis = p.rank - 3; axis >= 0; --axis) {
      from += place(p, axis, rest % p.extent[axis]);
      rest /= p.extent[axis];
    }
    copy_runs(p, from, output + row * run, first, first + count);
    row += count;
  }
}

}  // namespace int8x
