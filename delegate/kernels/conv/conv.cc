#include "delegate/kernels/conv/conv.h"

#include "delegate/kernels/conv/conv_layout.h"

namespace int8x {
namespace {

constexpr int64_t kAlignment = 64;

int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }
int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }

// Scratch: the sums, then the offset of each tap, then the left side.
int64_t sums_bytes() { return round_up(gemm_requantize_scratch() * 4, kAlignment); }
int64_t taps_bytes(const ConvWeights& w) { return round_up(int64_t{w.kernel_h} * 8, kAlignment); }

// One call of conv_run().
class Run {
 public:
  Run(const ConvWeights& w, const ConvGeometry& g, const ConvLayout& layout, const int8_t* input,
      int8_t* output, void* scratch)
      : w_(w),
        g_(g),
        layout_(layout),
        element_(bytes_of(w.kernels.gemm->lhs)),
        input_(input),
        output_(output),
        sums_(static_cast<int32_t*>(scratch)),
        taps_(reinterpret_cast<int64_t*>(static_cast<uint8_t*>(scratch) + sums_bytes())),
        lhs_(reinterpret_cast<uint8_t*>(taps_) + taps_bytes(w)) {
    const int64_t tap = layout_.source == ConvSource::window
                            ? int64_t{g.dilation_h} * layout_.window_w * w.group_in_c
                            : w.padded_k;
    for (int t = 0; t < w.kernel_h; ++t) taps_[t] = t * tap * element_;
  }

  // Lines turn fastest, so that a thread keeps one tile of weights in its cache; but where one tile
  // has all lines, neighbours in columns become one.
  void tiles(int64_t begin, int64_t end) {
    const bool by_rows =
        layout_.source == ConvSource::window || layout_.source == ConvSource::strided;
    const int64_t image_tiles = layout_.line_tiles / (by_rows ? g_.batch : 1);
    while (begin < end) {
      const int64_t line_tile = begin % layout_.line_tiles;
      const int64_t column_tile = begin / layout_.line_tiles % layout_.column_tiles;
      group_ = static_cast<int>(begin / layout_.line_tiles / layout_.column_tiles);
      int64_t lines = 1, columns = 1;
      if (layout_.line_tiles == 1) {
        columns = min(end - begin, layout_.column_tiles - column_tile);
      } else {
        const int64_t in_image = image_tiles - line_tile % image_tiles;
        lines = min(min(end - begin, layout_.block_tiles), in_image);
      }
      column_ = static_cast<int>(column_tile) * layout_.tile_columns;
      columns_ = static_cast<int>(min(columns * layout_.tile_columns, w_.group_out_c - column_));
      const int64_t first = line_tile % image_tiles * layout_.tile_lines;
      const int64_t count = lines * layout_.tile_lines;
      if (by_rows) {
        rows_of(line_tile / image_tiles, static_cast<int>(first),
                static_cast<int>(min(count, g_.out_h - first)));
      } else if (layout_.source == ConvSource::gather) {
        gather(first, min(count, layout_.lines - first));
      } else {
        in_place(first, min(count, layout_.lines - first));
      }
      begin += lines * columns;
    }
  }

 private:
  void gather(int64_t first, int64_t count) {
    const int64_t row = int64_t{w_.kernel_h} * w_.padded_k * element_;
    conv_gather(w_, g_, group_, input_, first, count, lhs_);
    block(lhs_, row, count, first, count, count);
  }

  void in_place(int64_t first, int64_t count) {
    const int8_t* lhs = input_ + first * g_.in_c + group_ * w_.group_in_c;
    block(lhs, g_.in_c, count, first, count, count);
  }

  void rows_of(int64_t batch, int y, int rows) {
    const int64_t first = (batch * g_.out_h + y) * g_.out_w, m = int64_t{rows} * g_.out_w;
    if (layout_.source == ConvSource::strided) {
      const int64_t line = int64_t{g_.in_w} * g_.in_c * g_.stride_h;
      const int8_t* lhs = input_ + batch * g_.in_h * g_.in_w * g_.in_c + y * line;
      block(lhs + group_ * w_.group_in_c, int64_t{g_.stride_w} * g_.in_c, m, first, m, m, line);
      return;
    }
    const int64_t pixel = int64_t{w_.group_in_c} * element_;
    conv_copy_window(w_, g_, layout_.window_w, group_, input_, batch, y, rows, lhs_);
    if (layout_.one_block) {
      block(lhs_, pixel, int64_t{rows - 1} * layout_.window_w + g_.out_w, first, layout_.window_w,
            g_.out_w);
      return;
    }
    if (layout_.in_lines) {
      block(lhs_, g_.stride_w * pixel, m, first, m, m, g_.stride_h * layout_.window_w * pixel);
      return;
    }
    for (int i = 0; i < rows; ++i) {
      const uint8_t* row = lhs_ + int64_t{i} * g_.stride_h * layout_.window_w * pixel;
      block(row, g_.stride_w * pixel, g_.out_w, first + int64_t{i} * g_.out_w, g_.out_w, g_.out_w);
    }
  }

  // m rows of lhs to output pixels from `first` on; see GemmOutput for period and valid. With a
  // line_stride they lie in lines of an output row each.
  void block(const void* lhs, int64_t lhs_stride, int64_t m, int64_t first, int64_t period,
             int64_t valid, int64_t line_stride = 0) {
    const int64_t at = group_ * w_.group_columns + column_;
    const int8_t* rhs =
        w_.rhs + group_ * w_.group_rhs_bytes + int64_t{column_} * w_.kernel_h * w_.padded_k;
    const GemmBlock block = {static_cast<int>(m),
                             columns_,
                             w_.kernel_h,
                             w_.padded_k,
                             lhs,
                             lhs_stride,
                             taps_,
                             rhs,
                             sums_,
                             0,
                             line_stride > 0 ? g_.out_w : 0,
                             line_stride};
    const GemmOutput output = {
        w_.bias + at,
        w_.multipliers + at,
        nullptr,
        w_.narrow,
        w_.output_zero_point,
        w_.activation_min,
        w_.activation_max,
        output_ + first * g_.out_c + group_ * w_.group_out_c + column_,
        g_.out_c,
        static_cast<int>(period),
        static_cast<int>(valid),
    };
    gemm_requantize(w_.kernels, block, output, nullptr, 0);
  }

  const ConvWeights& w_;
  const ConvGeometry& g_;
  const ConvLayout& layout_;
  const int64_t element_;
  const int8_t* input_;
  int8_t* output_;
  int32_t* sums_;
  int64_t* taps_;
  uint8_t* lhs_;
  int group_ = 0, column_ = 0, columns_ = 0;
};

}  // namespace

size_t conv_scratch_bytes(const ConvWeights& weights, const ConvGeometry& geometry) {
  const int64_t lhs = conv_layout(weights, geometry).lhs_bytes;
  return static_cast<size_t>(sums_bytes() + taps_bytes(weights) + lhs);
}

int64_t conv_tiles(const ConvWeights& weights, const ConvGeometry& geometry) {
  const ConvLayout layout = conv_layout(weights, geometry);
  return layout.line_tiles * layout.column_tiles * weights.groups;
}

void conv_run(const ConvWeights& weights, const ConvGeometry& geometry, const int8_t* input,
              int8_t* output, int64_t tile_begin, int64_t tile_end, void* scratch) {
  conv_run(weights, geometry, conv_layout(weights, geometry), input, output, tile_begin, tile_end,
           scratch);
}

void conv_run(const ConvWeights& weights, const ConvGeometry& geometry, const ConvLayout& layout,
              const int8_t* input, int8_t* output, int64_t tile_begin, int64_t tile_end,
              void* scratch) {
  Run(weights, geometry, layout, input, output, scratch).tiles(tile_begin, tile_end);
}

}  // namespace int8x
