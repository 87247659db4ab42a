#include <immintrin.h>

#include "delegate/kernels/gemm/gemm.h"

namespace int8x {
namespace {

// Tiles 0..3 are the sums of 2 x 2 blocks of 16 x 16, 4 and 5 the left side (16 rows of one step of
// k), 6 and 7 the weights (a quarter as many rows of 16 columns x 4 k).
struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};

  explicit TileConfig(int step) {
    for (int i = 0; i < 4; ++i) set(i, 16, 64);
    for (int i = 4; i < 6; ++i) set(i, 16, step);
    for (int i = 6; i < 8; ++i) set(i, step / 4, 64);
  }
  void set(int tile, int tile_rows, int bytes) {
    rows[tile] = static_cast<uint8_t>(tile_rows);
    row_bytes[tile] = static_cast<uint16_t>(bytes);
  }
};

struct Cursor {
  const int8_t* lhs;
  const int8_t* rhs;
  int32_t* c;
};

// Sums of 16 * row_tiles rows and 16 * column_tiles columns.
template <int row_tiles, int column_tiles>
inline void tile(const GemmBlock& b, int step, const Cursor& at) {
  const int64_t stride = b.lhs_stride, panel_bytes = int64_t{b.taps} * b.k * 16;
  _tile_zero(0);
  if (column_tiles > 1) _tile_zero(1);
  if (row_tiles > 1) _tile_zero(2);
  if (row_tiles > 1 && column_tiles > 1) _tile_zero(3);
  const int8_t* rhs = at.rhs;
  for (int t = 0; t < b.taps; ++t) {
    const int8_t* lhs = at.lhs + b.tap_offsets[t];
    for (int k = 0; k < b.k; k += step, lhs += step, rhs += step * 16) {
      _tile_loadd(6, rhs, 64);
      _tile_loadd(4, lhs, stride);
      _tile_dpbssd(0, 4, 6);
      if (column_tiles > 1) {
        _tile_loadd(7, rhs + panel_bytes, 64);
        _tile_dpbssd(1, 4, 7);
      }
      if (row_tiles > 1) {
        _tile_loadd(5, lhs + 16 * stride, stride);
        _tile_dpbssd(2, 5, 6);
        if (column_tiles > 1) _tile_dpbssd(3, 5, 7);
      }
    }
  }
  const int64_t c_bytes = b.c_stride * 4;
  _tile_stored(0, at.c, c_bytes);
  if (column_tiles > 1) _tile_stored(1, at.c + 16, c_bytes);
  if (row_tiles > 1) _tile_stored(2, at.c + 16 * b.c_stride, c_bytes);
  if (row_tiles > 1 && column_tiles > 1) _tile_stored(3, at.c + 16 * b.c_stride + 16, c_bytes);
}

template <int row_tiles>
inline void row_of_tiles(const GemmBlock& b, int step, Cursor at) {
  const int64_t panel_bytes = int64_t{b.taps} * b.k * 16;
  int panels = (b.n + 15) / 16;
  for (; panels >= 2; panels -= 2, at.rhs += 2 * panel_bytes, at.c += 32)
    tile<row_tiles, 2>(b, step, at);
  if (panels == 1) tile<row_tiles, 1>(b, step, at);
}

}  // namespace

void gemm_s8_s8_s32_32x32x64_avx512amx(const GemmBlock& b) {
  const int step = b.k / ((b.k + 63) / 64);
  const TileConfig config(step);
  _tile_loadconfig(&config);
  Cursor at = {static_cast<const int8_t*>(b.lhs), b.rhs, b.c};
  int row_tiles = (b.m + 15) / 16;
  for (; row_tiles >= 2; row_tiles -= 2, at.lhs += 32 * b.lhs_stride, at.c += 32 * b.c_stride)
    row_of_tiles<2>(b, step, at);
  if (row_tiles == 1) row_of_tiles<1>(b, step, at);
  _tile_release();
}

}  // namespace int8x
