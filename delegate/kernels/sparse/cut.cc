#include "delegate/kernels/sparse/sparse_weights.h"

namespace int8x {
namespace {

// Products of a tile below which handing it to a thread costs more than it gives, counting an
// output as 64 products and a copied weight of the left side as 4; and tiles beyond which more
// would not balance better.
constexpr int64_t kTileProducts = 1 << 18, kMostTiles = 32;
// The left side of a tile stays in a second-level cache.
constexpr int64_t kLhsBytes = 320 << 10;
// A tile narrower than this does not pay for copying its left side again.
constexpr int64_t kLeastChannels = 128;
// Layers of fewer products and fewer tiles are cut finer, by channels into so many pieces at most,
// of at least so many channels. One thread takes pieces that follow each other as one.
constexpr int64_t kSmallProducts = 3 << 20, kFewTiles = 8, kPieceChannels = 16;
// What an output and a copied block cost, in products, by the table in choice.cc.
constexpr int64_t kOutputProducts = 32, kCopiedProducts = 46;

int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }
int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t max(int64_t a, int64_t b) { return a > b ? a : b; }

// Cuts the tiles of a small layer into vectors of pixels, or into channels, for each of which all
// pixels are copied: whichever leaves the later of two threads with less. What a block of weights
// costs whatever the pixels is as much as two more vectors.
void cut_finer(const SparseWeights& w, int64_t vectors, int64_t most, SparseCut* c) {
  const int64_t products = w.kept * 4, outputs = w.out_c * kOutputProducts;
  const int64_t copied = w.blocks * kCopiedProducts, half = ceil_div(vectors, 2);
  const int64_t by_pixels = products * (half + 2) + half * (outputs + copied);
  const int64_t groups = ceil_div(w.out_c, kPieceChannels);
  const int64_t by_channels =
      (products * (vectors + 2) + vectors * outputs) * ceil_div(groups, 2) / groups +
      vectors * copied;
  if (c->pixel_tiles == 1 && by_channels < by_pixels) {
    const int64_t piece = round_up(ceil_div(w.out_c, kFewTiles), kPieceChannels);
    c->tile_channels = static_cast<int>(piece);
    c->channel_tiles = static_cast<int>(ceil_div(w.out_c, piece));
    return;
  }
  c->block_tiles = static_cast<int>(min(most, vectors));
  c->tile_pixels = w.kernel->lanes;
  c->pixel_tiles = vectors;
  c->tile_channels = static_cast<int>(round_up(w.out_c, kSparseChannels));
  c->channel_tiles = 1;
}

}  // namespace

SparseCut sparse_cut(const SparseWeights& w, const SparseGeometry& g) {
  SparseCut c = {};
  c.pixels = int64_t{g.batch} * g.out_h * g.out_w;
  if (c.pixels == 0) return c;
  const int64_t lanes = w.kernel->lanes;
  const int64_t pixel_bytes = int64_t{w.blocks} * 4 * bytes_of(w.kernel->format);
  const int64_t products = c.pixels * (w.kept * 4 + int64_t{w.out_c} * 64 + w.blocks * 16);
  const int64_t wanted = max(1, min(products / kTileProducts, kMostTiles));

  const int64_t vectors = ceil_div(c.pixels, lanes);
  const int64_t fit = kLhsBytes / pixel_bytes / lanes;
  const int64_t most = max(1, min(w.kernel->most_lanes / lanes, max(fit, ceil_div(16, lanes))));
  const int64_t tile = ceil_div(vectors, ceil_div(vectors, most));  // even tiles
  c.tile_pixels = static_cast<int>(tile * lanes);
  c.pixel_tiles = ceil_div(c.pixels, c.tile_pixels);
  const int64_t columns = max(kLeastChannels, ceil_div(w.out_c, ceil_div(wanted, c.pixel_tiles)));
  c.tile_channels = static_cast<int>(round_up(columns, kSparseChannels));
  c.channel_tiles = static_cast<int>(ceil_div(w.out_c, c.tile_channels));
  c.block_tiles = 1;
  const bool few = c.pixel_tiles * c.channel_tiles < kFewTiles;
  if (few && products < kSmallProducts) cut_finer(w, vectors, most, &c);
  c.lhs_bytes = int64_t{c.block_tiles} * c.tile_pixels * pixel_bytes;
  return c;
}

void sparse_pixels(const SparseGeometry& g, int in_c, int ky, int kx, const int8_t* input,
                   const int8_t* padding, int64_t first, int count, const int8_t** pixels) {
  int x = static_cast<int>(first % g.out_w);
  int y = static_cast<int>(first / g.out_w % g.out_h);
  int64_t image = first / g.out_w / g.out_h * g.in_h;
  for (int i = 0; i < count; ++i) {
    const int iy = y * g.stride_h + ky * g.dilation_h - g.pad_top;
    const int ix = x * g.stride_w + kx * g.dilation_w - g.pad_left;
    const bool inside = iy >= 0 && iy < g.in_h && ix >= 0 && ix < g.in_w;
    pixels[i] = inside ? input + ((image + iy) * g.in_w + ix) * in_c : padding;
    if (++x == g.out_w) {
      x = 0;
      if (++y == g.out_h) y = 0, image += g.in_h;
    }
  }
}

}  // namespace int8x
