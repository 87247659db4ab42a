#include <cstring>

#include "delegate/kernels/copy/copy.h"

namespace int8x {
namespace {

// Writes the block of the output that axis `axis` and those inside it span.
void pad_block(const PadParams& p, int axis, const int8_t* input, int8_t* output,
               int64_t out_stride) {
  if (axis == p.rank) {
    *output = *input;
    return;
  }
  const int64_t inner = out_stride / p.out_extent[axis];
  const int64_t head = p.before[axis] * inner, body = p.in_extent[axis] * inner;
  std::memset(output, p.fill, static_cast<size_t>(head));
  if (axis == p.rank - 1) {
    std::memcpy(output + head, input, static_cast<size_t>(body));
  } else {
    for (int64_t i = 0; i < p.in_extent[axis]; ++i) {
      pad_block(p, axis + 1, input + i * p.in_stride[axis], output + head + i * inner, inner);
    }
  }
  std::memset(output + head + body, p.fill, static_cast<size_t>(out_stride - head - body));
}

int64_t first_stride(const PadParams& p) {
  int64_t stride = 1;
  for (int axis = 1; axis < p.rank; ++axis) stride *= p.out_extent[axis];
  return stride;
}

}  // namespace

bool make_pad_params(const int32_t* dims, const int32_t* padding, int rank, int32_t fill,
                     PadParams* out) {
  if (rank <= 0 || rank > kMaxPadRank) return false;
  PadParams p = {};
  int64_t size = 1;
  for (int axis = 0; axis < rank; ++axis) {
    const int64_t before = padding[2 * axis], after = padding[2 * axis + 1], n = dims[axis];
    if (n <= 0 || before < 0 || after < 0) return false;
    const int64_t grown = before + n + after;
    if (__builtin_mul_overflow(size, grown, &size)) return false;
    // An axis that is not padded continues the padded one before it: each step of that one is now
    // n steps.
    const int last = p.rank - 1;
    if (p.rank > 0 && grown == n) {
      p.in_extent[last] *= n;
      p.out_extent[last] *= n;
      p.before[last] *= n;
      continue;
    }
    p.in_extent[p.rank] = n;
    p.out_extent[p.rank] = grown;
    p.before[p.rank++] = before;
  }
  int64_t stride = 1;
  for (int axis = p.rank - 1; axis >= 0; --axis) {
    p.in_stride[axis] = stride;
    stride *= p.in_extent[axis];
  }
  p.fill = static_cast<int8_t>(fill);
  *out = p;
  return true;
}

int64_t pad_tiles(const PadParams& p) { return p.rank == 1 ? 1 : p.out_extent[0]; }

void pad_run(const PadParams& p, const int8_t* input, int8_t* output, int64_t tile_begin,
             int64_t tile_end, void*) {
  const int64_t stride = first_stride(p);
  if (p.rank == 1) {
    if (tile_begin < tile_end) pad_block(p, 0, input, output, p.out_extent[0]);
    return;
  }
  for (int64_t tile = tile_begin; tile < tile_end; ++tile) {
    const int64_t i = tile - p.before[0];
    if (i < 0 || i >= p.in_extent[0]) {
      std::memset(output + tile * stride, p.fill, static_cast<size_t>(stride));
    } else {
      pad_block(p, 1, input + i * p.in_stride[0], output + tile * stride, stride);
    }
  }
}

}  // namespace int8x
