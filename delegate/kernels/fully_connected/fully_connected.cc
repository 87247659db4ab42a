#include "delegate/kernels/fully_connected/fully_connected.h"

#include "delegate/kernels/fully_connected/weights.h"

namespace int8x {
namespace {

constexpr int64_t kAlignment = 64;
// Products of a tile below which handing it to a thread costs more than it gives. With few rows the
// time goes to reading weights, so that fewer than kFewRows count as so many.
constexpr int64_t kTileProducts = 1 << 19, kMostTiles = 32, kFewRows = 8;
constexpr int64_t kTileRows = 256, kLhsBytes = 256 << 10, kTileColumns = 64;

int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }
int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t max(int64_t a, int64_t b) { return a > b ? a : b; }

int64_t sums_bytes() { return round_up(gemm_requantize_scratch() * 4, kAlignment); }

// Sums of a row's values, wanted when the weights' zero point is not 0.
int64_t row_sums_bytes(const FullyConnectedCut& c) { return round_up(c.rows * 4, kAlignment); }

// One call of fully_connected_run().
class Run {
 public:
  Run(const FullyConnectedWeights& w, const FullyConnectedCut& cut, const int8_t* input,
      int8_t* output, void* scratch)
      : w_(w),
        cut_(cut),
        input_(input),
        output_(output),
        sums_(static_cast<int32_t*>(scratch)),
        row_sums_(reinterpret_cast<int32_t*>(static_cast<uint8_t*>(scratch) + sums_bytes())),
        lhs_(reinterpret_cast<uint8_t*>(row_sums_) + row_sums_bytes(cut_)) {}

  // Rows turn fastest, so that a thread keeps one tile of weights in its cache; but where one tile
  // has all rows, neighbours in columns become one.
  void tiles(int64_t begin, int64_t end) {
    if (cut_.row_tiles == 1) {
      if (begin < end) tile(0, begin * cut_.columns, end * cut_.columns);
      return;
    }
    for (; begin < end; ++begin) {
      const int64_t column = begin / cut_.row_tiles * cut_.columns;
      tile(begin % cut_.row_tiles * cut_.rows, column, column + cut_.columns);
    }
  }

 private:
  void tile(int64_t first, int64_t column, int64_t column_end) {
    const GemmKernel& gemm = *w_.kernels.gemm;
    const int64_t count = min(cut_.rows, cut_.all_rows - first);
    const int64_t columns = min(column_end, w_.out_c) - column;
    const int8_t* input = input_ + first * w_.in_c;
    if (w_.weights_zero_point != 0) add_up(input, count);

    if (reads_s8(gemm.lhs) && w_.padded_k == w_.in_c) {
      block(input, w_.in_c, count, first, column, columns);
    } else {
      const int64_t row_bytes = int64_t{w_.padded_k} * bytes_of(gemm.lhs);
      for (int64_t i = 0; i < count; ++i)
        gemm_copy_lhs(gemm.lhs, lhs_ + i * row_bytes, input + i * w_.in_c, w_.in_c);
      block(lhs_, row_bytes, count, first, column, columns);
    }
  }

  void add_up(const int8_t* input, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      int32_t sum = 0;
      for (int k = 0; k < w_.in_c; ++k) sum += input[i * w_.in_c + k];
      row_sums_[i] = sum;
    }
  }

  void block(const void* lhs, int64_t lhs_stride, int64_t count, int64_t first, int64_t column,
             int64_t columns) {
    constexpr int64_t kNoOffset = 0;
    const int m = static_cast<int>(count);
    const GemmBlock block = {m,          static_cast<int>(columns),
                             1,          w_.padded_k,
                             lhs,        lhs_stride,
                             &kNoOffset, w_.rhs + column * w_.padded_k,
                             sums_,      0};
    const GemmOutput output = {w_.bias + column,
                               nullptr,
                               w_.scales + column,
                               false,
                               w_.output_zero_point,
                               w_.activation_min,
                               w_.activation_max,
                               output_ + first * w_.out_c + column,
                               w_.out_c,
                               m,
                               m};
    gemm_requantize(w_.kernels, block, output, w_.weights_zero_point != 0 ? row_sums_ : nullptr,
                    -w_.weights_zero_point);
  }

  const FullyConnectedWeights& w_;
  const FullyConnectedCut& cut_;
  const int8_t* input_;
  int8_t* output_;
  int32_t* sums_;
  int32_t* row_sums_;
  uint8_t* lhs_;
};

}  // namespace

FullyConnectedCut fully_connected_cut(const FullyConnectedWeights& w, int64_t rows) {
  const GemmKernel& gemm = *w.kernels.gemm;
  const int64_t row_bytes = int64_t{w.padded_k} * bytes_of(gemm.lhs);
  const int64_t products = max(rows, kFewRows) * w.out_c * (w.in_c + 64);
  const int64_t wanted = max(1, min(products / kTileProducts, kMostTiles));
  FullyConnectedCut c = {};
  if (rows == 0) return c;
  const int64_t most = min(kTileRows, max(gemm.mr, kLhsBytes / row_bytes));
  c.all_rows = rows;
  c.rows = max(1, min(rows, most / gemm.mr * gemm.mr));
  c.row_tiles = ceil_div(rows, c.rows);
  c.columns = round_up(ceil_div(w.out_c, max(1, ceil_div(wanted, max(1, c.row_tiles)))),
                       max(kTileColumns, gemm.panel));
  c.column_tiles = ceil_div(w.out_c, c.columns);
  c.lhs_bytes = c.rows * row_bytes;
  return c;
}

size_t fully_connected_scratch_bytes(const FullyConnectedWeights& weights, int64_t rows) {
  const FullyConnectedCut c = fully_connected_cut(weights, rows);
  return static_cast<size_t>(sums_bytes() + row_sums_bytes(c) + c.lhs_bytes);
}

int64_t fully_connected_tiles(const FullyConnectedWeights& weights, int64_t rows) {
  const FullyConnectedCut c = fully_connected_cut(weights, rows);
  return c.row_tiles * c.column_tiles;
}

void fully_connected_run(const FullyConnectedWeights& weights, const FullyConnectedCut& cut,
                         const int8_t* input, int8_t* output, int64_t tile_begin, int64_t tile_end,
                         void* scratch) {
  Run(weights, cut, input, output, scratch).tiles(tile_begin, tile_end);
}

void fully_connected_run(const FullyConnectedWeights& weights, int64_t rows, const int8_t* input,
                         int8_t* output, int64_t tile_begin, int64_t tile_end, void* scratch) {
  fully_connected_run(weights, fully_connected_cut(weights, rows), input, output, tile_begin,
                      tile_end, scratch);
}

}  // namespace int8x
