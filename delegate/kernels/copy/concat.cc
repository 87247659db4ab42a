#include <cstring>

#include "delegate/kernels/copy/copy.h"

namespace int8x {
namespace {

constexpr int64_t kTileBytes = 32768;

// Rows of a tile: as many as make about kTileBytes, at least one.
int64_t rows_per_tile(const ConcatParams& p) {
  const int64_t rows = kTileBytes / p.row_bytes;
  return rows < 1 ? 1 : rows > p.outer ? p.outer : rows;
}

// Copies `rows` stretches of `bytes`. A call for each costs more than the few bytes of most: those
// of whole vectors are copied in line.
void copy_stretches(const int8_t* from, int8_t* to, int64_t bytes, int64_t to_stride,
                    int64_t rows) {
  constexpr int64_t kVector = 16, kMostInLine = 256;
  const bool in_line = bytes % kVector == 0 && bytes <= kMostInLine;
  for (int64_t row = 0; row < rows; ++row, from += bytes, to += to_stride) {
    if (in_line) {
      for (int64_t i = 0; i < bytes; i += kVector) std::memcpy(to + i, from + i, kVector);
    } else {
      std::memcpy(to, from, static_cast<size_t>(bytes));
    }
  }
}

}  // namespace

bool make_concat_params(const int32_t* extents, int inputs, int64_t outer, int64_t inner,
                        ConcatParams* out) {
  if (inputs <= 0 || inputs > kMaxConcatInputs || outer <= 0 || inner <= 0) return false;
  ConcatParams p = {};
  p.inputs = inputs;
  p.outer = outer;
  for (int i = 0; i < inputs; ++i) {
    if (extents[i] < 0 || __builtin_mul_overflow(extents[i], inner, &p.bytes[i])) return false;
    p.offset[i] = p.row_bytes;
    if (__builtin_add_overflow(p.row_bytes, p.bytes[i], &p.row_bytes)) return false;
  }
  if (p.row_bytes == 0) return false;
  *out = p;
  return true;
}

int64_t concat_tiles(const ConcatParams& p) {
  const int64_t rows = rows_per_tile(p);
  return (p.outer + rows - 1) / rows;
}

void concat_run(const ConcatParams& p, const int8_t* const* inputs, int8_t* output,
                int64_t tile_begin, int64_t tile_end, void*) {
  const int64_t rows = rows_per_tile(p);
  const int64_t begin = tile_begin * rows;
  const int64_t end = tile_end * rows < p.outer ? tile_end * rows : p.outer;
  for (int32_t i = 0; i < p.inputs; ++i) {
    if (p.bytes[i] == 0) continue;
    copy_stretches(inputs[i] + begin * p.bytes[i], output + begin * p.row_bytes + p.offset[i],
                   p.bytes[i], p.row_bytes, end - begin);
  }
}

}  // namespace int8x
