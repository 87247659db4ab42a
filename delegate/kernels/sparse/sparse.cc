#include "delegate/kernels/sparse/sparse.h"

#include <cstring>

#include "delegate/kernels/sparse/sparse_weights.h"

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

namespace int8x {
namespace {

constexpr int64_t kAlignment = 64;

int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }
int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }

// Scratch: sums by channel, the same by pixel (fused kernels keep bytes there), pointers to pixels,
// a pixel of padding, then the left side.
constexpr int64_t kSumsBytes = int64_t{kSparseChannels} * kSparsePixels * 4;
constexpr int64_t kPointersBytes = kSparsePixels * sizeof(void*);
int64_t padding_bytes(const SparseWeights& w) { return round_up(w.in_c, kAlignment); }

// to[p][j] = from[j][p], for `channels` rounded up to 4 and `pixels` rounded up to 4.
void transpose(const int32_t* from, int channels, int pixels, int32_t* to) {
  for (int j = 0; j < channels; j += 4) {
    for (int p = 0; p < pixels; p += 4) {
      const int32_t* x = from + j * kSparsePixels + p;
      int32_t* y = to + p * kSparseChannels + j;
#if defined(__x86_64__)
      __m128 rows[4];
      for (int i = 0; i < 4; ++i)
        rows[i] = _mm_load_ps(reinterpret_cast<const float*>(x + i * kSparsePixels));
      _MM_TRANSPOSE4_PS(rows[0], rows[1], rows[2], rows[3]);
      for (int i = 0; i < 4; ++i)
        _mm_store_ps(reinterpret_cast<float*>(y + i * kSparseChannels), rows[i]);
#else
      for (int i = 0; i < 4; ++i)
        for (int k = 0; k < 4; ++k) y[i * kSparseChannels + k] = x[k * kSparsePixels + i];
#endif
    }
  }
}

// One call of sparse_run().
class Run {
 public:
  Run(const SparseWeights& w, const SparseGeometry& g, const int8_t* input, int8_t* output,
      void* scratch)
      : w_(w), g_(g), cut_(sparse_cut(w, g)), input_(input), output_(output) {
    uint8_t* place = static_cast<uint8_t*>(scratch);
    sums_ = reinterpret_cast<int32_t*>(place);
    turned_ = reinterpret_cast<int32_t*>(place += kSumsBytes);
    pixels_ = reinterpret_cast<const int8_t**>(place += kSumsBytes);
    padding_ = reinterpret_cast<int8_t*>(place += kPointersBytes);
    lhs_ = place + padding_bytes(w);
    std::memset(padding_, w.input_zero_point & 0xff, static_cast<size_t>(w.in_c));
  }

  // Channels turn fastest: neighbours see the same pixels, which are copied once. Tiles of pixels
  // become blocks of about the same size.
  void tiles(int64_t begin, int64_t end) {
    while (begin < end) {
      const int64_t pixel_tile = begin / cut_.channel_tiles;
      const int64_t channel_tile = begin % cut_.channel_tiles;
      const int64_t columns = min(end - begin, cut_.channel_tiles - channel_tile);
      const int64_t left = columns < cut_.channel_tiles ? 1 : (end - begin) / columns;
      const int64_t lines = ceil_div(left, ceil_div(left, cut_.block_tiles));
      first_ = pixel_tile * cut_.tile_pixels;
      valid_ = static_cast<int>(min(lines * cut_.tile_pixels, cut_.pixels - first_));
      padded_ = static_cast<int>(round_up(valid_, w_.kernel->lanes));
      copy();
      const int64_t last = min((channel_tile + columns) * cut_.tile_channels, w_.out_c);
      for (int64_t c = channel_tile * cut_.tile_channels; c < last; c += kSparseChannels)
        channels(static_cast<int>(c), static_cast<int>(min(kSparseChannels, last - c)));
      begin += lines * columns;
    }
  }

 private:
  int64_t block_bytes() const { return int64_t{padded_} * 4 * bytes_of(w_.kernel->format); }

  void copy() {
    uint8_t* lhs = lhs_;
    for (int ky = 0; ky < g_.kernel_h; ++ky) {
      for (int kx = 0; kx < g_.kernel_w; ++kx) {
        sparse_pixels(g_, w_.in_c, ky, kx, input_, padding_, first_, valid_, pixels_);
        for (int p = valid_; p < padded_; ++p) pixels_[p] = padding_;
        w_.kernel->pack(pixels_, padded_, w_.in_c / 4, lhs);
        lhs += block_bytes() * (w_.in_c / 4);
      }
    }
  }

  void channels(int channel, int count) {
    const bool fused = w_.narrow && w_.kernel->run_requantize != nullptr;
    for (int chunk = 0; chunk < w_.chunks; ++chunk) {
      const SparseBlock block = {lhs_ + block_bytes() * chunk * kSparseChunk,
                                 padded_,
                                 count,
                                 w_.ends + int64_t{chunk} * (w_.out_c + 1) + channel,
                                 w_.list,
                                 w_.weights,
                                 chunk == 0 ? nullptr : sums_,
                                 sums_};
      if (chunk == w_.chunks - 1 && fused) {
        w_.kernel->run_requantize(
            block, {w_.bias + channel, w_.multipliers + channel, w_.output_zero_point,
                    w_.activation_min, w_.activation_max, reinterpret_cast<int8_t*>(turned_),
                    output_ + first_ * w_.out_c + channel, w_.out_c, valid_});
        return;
      }
      w_.kernel->run(block);
    }
    transpose(sums_, count, valid_, turned_);
    w_.requantize->run({valid_, count, turned_, kSparseChannels, w_.bias + channel,
                        w_.multipliers == nullptr ? nullptr : w_.multipliers + channel,
                        w_.scales == nullptr ? nullptr : w_.scales + channel, w_.narrow,
                        w_.output_zero_point, w_.activation_min, w_.activation_max,
                        output_ + first_ * w_.out_c + channel, w_.out_c});
  }

  const SparseWeights& w_;
  const SparseGeometry& g_;
  const SparseCut cut_;
  const int8_t* input_;
  int8_t* output_;
  int32_t* sums_;
  int32_t* turned_;
  const int8_t** pixels_;
  int8_t* padding_;
  uint8_t* lhs_;
  int64_t first_ = 0;
  int valid_ = 0, padded_ = 0;
};

}  // namespace

size_t sparse_scratch_bytes(const SparseWeights& weights, const SparseGeometry& geometry) {
  if (weights.by_row != nullptr) return sparse_row_scratch_bytes(weights);
  return static_cast<size_t>(2 * kSumsBytes + kPointersBytes + padding_bytes(weights) +
                             sparse_cut(weights, geometry).lhs_bytes);
}

int64_t sparse_tiles(const SparseWeights& weights, const SparseGeometry& geometry) {
  if (weights.by_row != nullptr) return sparse_row_tiles(weights, geometry);
  const SparseCut cut = sparse_cut(weights, geometry);
  return cut.pixel_tiles * cut.channel_tiles;
}

void sparse_run(const SparseWeights& weights, const SparseGeometry& geometry, const int8_t* input,
                int8_t* output, int64_t tile_begin, int64_t tile_end, void* scratch) {
  if (weights.by_row != nullptr) {
    return sparse_row_run(weights, geometry, input, output, tile_begin, tile_end, scratch);
  }
  Run(weights, geometry, input, output, scratch).tiles(tile_begin, tile_end);
}

}  // namespace int8x
