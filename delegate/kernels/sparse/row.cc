#include <cstring>

#include "delegate/kernels/sparse/sparse_weights.h"

namespace int8x {
namespace {

constexpr int kAlignment = 64;
// What a thread takes at once: 128 channels.
constexpr int kTilePanels = 8;

int round_up(int value, int step) { return (value + step - 1) / step * step; }

// A channel's blocks in a chunk that are not all zero: their numbers, up to kSparseRowChunk.
int kept_of(const SparseSpec& spec, int channel, int chunk, uint8_t* numbers) {
  const int blocks = spec.in_c / 4, first = chunk * kSparseRowChunk;
  const int8_t* row = spec.weights + int64_t{channel} * spec.in_c;
  int count = 0;
  for (int b = 0; b < kSparseRowChunk && first + b < blocks; ++b) {
    int32_t four;
    std::memcpy(&four, row + 4 * (first + b), sizeof(four));
    if (four != 0) numbers[count++] = static_cast<uint8_t>(b);
  }
  return count;
}

int chunks_of(int in_c) { return (in_c / 4 + kSparseRowChunk - 1) / kSparseRowChunk; }

// The pixel + 128, and 128 up to the end of the last chunk, eight bytes at a time.
void copy_pixel(const int8_t* from, int in_c, int chunks, uint8_t* lhs) {
  const int bytes = chunks * kSparseRowChunk * 4;
  std::memcpy(lhs, from, static_cast<size_t>(in_c));
  std::memset(lhs + in_c, 0, static_cast<size_t>(bytes - in_c));
  for (int i = 0; i < bytes; i += 8) {
    uint64_t eight;
    std::memcpy(&eight, lhs + i, 8);
    eight ^= 0x8080808080808080;
    std::memcpy(lhs + i, &eight, 8);
  }
}

int64_t panel_tiles(const SparseWeights& w) {
  return (sparse_panels(w.out_c) + kTilePanels - 1) / kTilePanels;
}

}  // namespace

std::vector<uint8_t> sparse_row_counts(const SparseSpec& spec) {
  std::vector<uint8_t> counts;
  for (int panel = 0; panel < sparse_panels(spec.out_c); ++panel) {
    for (int chunk = 0; chunk < chunks_of(spec.in_c); ++chunk) {
      int most = 0;
      for (int i = 0; i < kSparseRowPanel; ++i) {
        const int channel = panel * kSparseRowPanel + i;
        uint8_t numbers[kSparseRowChunk];
        const int count = channel < spec.out_c ? kept_of(spec, channel, chunk, numbers) : 0;
        if (count > most) most = count;
      }
      counts.push_back(static_cast<uint8_t>(most));
    }
  }
  return counts;
}

void write_sparse_rows(const SparseSpec& spec, const std::vector<uint8_t>& counts, uint32_t* ends,
                       uint8_t* places, int8_t* weights) {
  const uint8_t* count = counts.data();
  uint32_t entry = 0;
  for (int panel = 0; panel < sparse_panels(spec.out_c); ++panel) {
    ends[panel] = entry;
    for (int chunk = 0; chunk < chunks_of(spec.in_c); ++chunk, entry += *count++) {
      const size_t first = size_t{entry} * kSparseRowPanel, size = size_t{*count} * kSparseRowPanel;
      std::memset(places + first, 0, size);
      std::memset(weights + 4 * first, 0, 4 * size);
      for (int i = 0; i < kSparseRowPanel; ++i) {
        const int channel = panel * kSparseRowPanel + i;
        if (channel == spec.out_c) break;
        uint8_t numbers[kSparseRowChunk];
        const int kept = kept_of(spec, channel, chunk, numbers);
        const int8_t* row =
            spec.weights + int64_t{channel} * spec.in_c + 4 * kSparseRowChunk * chunk;
        for (int k = 0; k < kept; ++k) {
          const size_t at = first + static_cast<size_t>(k * kSparseRowPanel + i);
          places[at] = numbers[k];
          std::memcpy(weights + 4 * at, row + 4 * numbers[k], 4);
        }
      }
    }
  }
  ends[sparse_panels(spec.out_c)] = entry;
}

// Sums of a tile, a pixel of padding, then the left side.
size_t sparse_row_scratch_bytes(const SparseWeights& w) {
  return static_cast<size_t>(kTilePanels * kSparseRowPanel * 4 + round_up(w.in_c, kAlignment)) +
         static_cast<size_t>(w.chunks) * kSparseRowChunk * 4;
}

int64_t sparse_row_tiles(const SparseWeights& w, const SparseGeometry& g) {
  return int64_t{g.batch} * g.out_h * g.out_w * panel_tiles(w);
}

// Channels turn fastest: neighbours see the same pixel, which is copied once.
void sparse_row_run(const SparseWeights& w, const SparseGeometry& g, const int8_t* input,
                    int8_t* output, int64_t tile_begin, int64_t tile_end, void* scratch) {
  int32_t* sums = static_cast<int32_t*>(scratch);
  int8_t* padding = reinterpret_cast<int8_t*>(sums + kTilePanels * kSparseRowPanel);
  uint8_t* lhs = reinterpret_cast<uint8_t*>(padding) + round_up(w.in_c, kAlignment);
  std::memset(padding, w.input_zero_point & 0xff, static_cast<size_t>(w.in_c));
  int64_t copied = -1;
  for (int64_t tile = tile_begin; tile < tile_end; ++tile) {
    const int64_t pixel = tile / panel_tiles(w);
    const int panel = static_cast<int>(tile % panel_tiles(w)) * kTilePanels;
    if (pixel != copied) {
      const int8_t* from;
      sparse_pixels(g, w.in_c, 0, 0, input, padding, pixel, 1, &from);
      copy_pixel(from, w.in_c, w.chunks, lhs);
      copied = pixel;
    }
    const int left = sparse_panels(w.out_c) - panel;
    const int64_t entry = w.ends[panel];
    w.by_row->run({lhs, w.chunks, left < kTilePanels ? left : kTilePanels,
                   w.counts + int64_t{panel} * w.chunks, w.list + entry * kSparseRowPanel,
                   static_cast<const int8_t*>(w.weights) + entry * kSparseRowPanel * 4, sums});
    const int channel = panel * kSparseRowPanel, rest = w.out_c - channel;
    w.requantize->run(
        {1, rest < kTilePanels * kSparseRowPanel ? rest : kTilePanels * kSparseRowPanel, sums,
         kTilePanels * kSparseRowPanel, w.bias + channel,
         w.multipliers == nullptr ? nullptr : w.multipliers + channel,
         w.scales == nullptr ? nullptr : w.scales + channel, w.narrow, w.output_zero_point,
         w.activation_min, w.activation_max, output + pixel * w.out_c + channel, w.out_c});
  }
}

}  // namespace int8x
