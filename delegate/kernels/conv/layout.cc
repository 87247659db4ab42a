#include "delegate/kernels/conv/conv_layout.h"

namespace int8x {
namespace {

// Products of a tile below which handing it to a thread costs more than it gives, counting an
// output as 64 products; and tiles beyond which more would not balance better.
constexpr int64_t kTileProducts = 1 << 20;
constexpr int64_t kMostTiles = 32;
// Below that a few threads can still share a layer: products of a piece that is worth handing to
// another core, and how many pieces. One thread takes pieces that follow each other as one.
constexpr int64_t kPieceProducts = 3 << 16, kFewPieces = 8, kPieceRows = 16;
// Bounds that keep a tile's two sides in a second-level cache.
constexpr int64_t kLhsBytes = 256 << 10, kRhsBytes = 512 << 10;
constexpr int64_t kNearRhsBytes = 16 << 10;
constexpr int64_t kTileRows = 256, kLeastRows = 48;
// A tile narrower than this does not pay for copying its left side again.
constexpr int kCopiedColumns = 128, kInPlaceColumns = 64;

int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }
int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t max(int64_t a, int64_t b) { return a > b ? a : b; }

// Whether an output pixel is computed from one input pixel that the kernel can read where it lies.
// A PAD that moved inside may have put rows below the input or columns beside it.
bool readable_in_place(const ConvWeights& w, const ConvGeometry& g) {
  const bool inside = g.pad_top == 0 && g.pad_left == 0 && (g.out_h - 1) * g.stride_h < g.in_h &&
                      (g.out_w - 1) * g.stride_w < g.in_w;
  return reads_s8(w.kernels.gemm->lhs) && w.kernel_h == 1 && w.kernel_w == 1 && inside &&
         w.padded_k == w.row_k;
}

// Cuts the tiles of a small layer into pieces.
void cut_finer(const ConvWeights& w, const ConvGeometry& g, int64_t image_lines, int64_t images,
               int64_t wanted, ConvLayout* l) {
  const int64_t parts = wanted / (l->line_tiles * l->column_tiles * w.groups);
  if (parts < 2) return;
  const int64_t weights = int64_t{w.kernel_h} * w.padded_k * w.group_out_c;
  const int64_t read = int64_t{g.batch} * g.in_h * g.in_w * w.group_in_c;
  // The larger side is the one that each thread should read but once.
  if (l->line_tiles == 1 && weights > 2 * read) {
    const int64_t step = round_up(64, w.kernels.gemm->panel);
    l->tile_columns = static_cast<int>(round_up(ceil_div(w.group_out_c, parts), step));
    l->column_tiles = ceil_div(w.group_out_c, l->tile_columns);
    if (l->column_tiles > 1) return;
  }
  const bool by_rows = l->source == ConvSource::window || l->source == ConvSource::strided;
  const int64_t step = by_rows ? 1 : w.kernels.gemm->mr;
  const int64_t least = by_rows ? ceil_div(kPieceRows, g.out_w) : max(kPieceRows, 2 * step);
  const int64_t lines = round_up(max(least, ceil_div(l->tile_lines, parts)), step);
  if (lines >= l->tile_lines) return;
  l->block_tiles = ceil_div(l->tile_lines, lines);
  l->tile_lines = lines;
  l->line_tiles = ceil_div(image_lines, lines) * images;
}

}  // namespace

bool conv_reads_pixels(const ConvWeights& w, const ConvGeometry& g) {
  return w.kernel_h == 1 && w.kernel_w == 1 && g.stride_h == 1 && g.stride_w == 1 &&
         g.pad_top == 0 && g.pad_left == 0 && g.out_h == g.in_h && g.out_w == g.in_w;
}

ConvLayout conv_layout(const ConvWeights& w, const ConvGeometry& g) {
  const GemmKernel& gemm = *w.kernels.gemm;
  const int64_t element = bytes_of(gemm.lhs), pixel = w.group_in_c * element;
  const int64_t pixels = int64_t{g.batch} * g.out_h * g.out_w;
  const int64_t depth = int64_t{w.kernel_h} * w.padded_k;
  const int64_t products = pixels * w.group_out_c * w.groups * (w.kernel_h * w.row_k + 64);
  const int64_t wanted_tiles = max(1, min(products / kTileProducts, kMostTiles));
  ConvLayout l = {};
  if (pixels == 0) return l;
  int64_t line_bytes = depth * element, slack = 0;

  const bool takes_lines = gemm_requantize_takes_lines(w.kernels, w.narrow);
  const bool in_place = conv_reads_pixels(w, g);
  if (readable_in_place(w, g) && (in_place || takes_lines)) {
    l.source = in_place ? ConvSource::in_place : ConvSource::strided;
    line_bytes = 0;
  } else {
    l.window_w = (g.out_w - 1) * g.stride_w + w.kernel_w;
    // The rows that the kernel works through for one output row, both ways.
    const int64_t alone = round_up(g.out_w, gemm.mr > 16 ? 16 : 1);
    l.in_lines = takes_lines;
    const bool may_join = !l.in_lines && g.stride_h == 1 && g.stride_w == 1;
    l.one_block = may_join && l.window_w < alone;
    const int64_t worked = l.one_block ? l.window_w : alone;
    const bool window =
        g.dilation_w == 1 && w.kernel_h * w.kernel_w > 1 && 2 * worked <= 3 * g.out_w;
    l.source = window ? ConvSource::window : ConvSource::gather;
    if (window) {
      line_bytes = g.stride_h * l.window_w * pixel;
      slack = ((w.kernel_h - 1) * g.dilation_h + 1) * l.window_w * pixel + w.padded_k * element;
    } else {
      l.one_block = l.in_lines = false;
    }
  }

  const bool by_rows = l.source == ConvSource::window || l.source == ConvSource::strided;
  const bool copies = l.source == ConvSource::window || l.source == ConvSource::gather;
  l.lines = by_rows ? int64_t{g.batch} * g.out_h : pixels;
  const int64_t line_rows = by_rows ? g.out_w : 1;
  int64_t most = max(1, kTileRows / line_rows);
  if (line_bytes > 0) most = max(1, min(most, kLhsBytes / line_bytes));
  if (!by_rows) most = max(gemm.mr, most / gemm.mr * gemm.mr);
  if (copies || depth * w.group_out_c <= kNearRhsBytes) {
    // Copying less for one tile is free, and so are weights that stay in the first-level cache: cut
    // lines before columns.
    const int64_t least = max(1, max(kLeastRows, 2 * gemm.mr) / line_rows);
    most = min(most, max(least, l.lines * w.groups / wanted_tiles));
    if (!by_rows) most = round_up(most, gemm.mr);
  }
  // Even tiles: as many as `most` asks for, all of about the same size.
  const int64_t image_lines = by_rows ? g.out_h : l.lines;
  const int64_t images = by_rows ? g.batch : 1;
  const int64_t image_tiles = max(1, ceil_div(image_lines, most));
  l.tile_lines = max(1, ceil_div(image_lines, image_tiles));
  if (!by_rows) l.tile_lines = round_up(l.tile_lines, gemm.mr);
  l.line_tiles = ceil_div(image_lines, l.tile_lines) * images;

  const int64_t least_columns = copies ? kCopiedColumns : kInPlaceColumns;
  const int64_t column_tiles = max(1, ceil_div(wanted_tiles, max(1, l.line_tiles * w.groups)));
  int64_t columns = max(least_columns, ceil_div(w.group_out_c, column_tiles));
  columns = min(columns, max(least_columns, kRhsBytes / depth));
  l.tile_columns = static_cast<int>(round_up(columns, round_up(64, gemm.panel)));
  l.column_tiles = ceil_div(w.group_out_c, l.tile_columns);
  l.block_tiles = 1;
  cut_finer(w, g, image_lines, images, min(products / kPieceProducts, kFewPieces), &l);
  l.lhs_bytes = line_bytes * l.tile_lines * l.block_tiles + slack;
  return l;
}

}  // namespace int8x
