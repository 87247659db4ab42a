#include <immintrin.h>

#include "delegate/base/inline.h"
#include "delegate/fixed_point/vector_avx512.h"
#include "delegate/kernels/gemm/gemm_requantize.h"
#include "delegate/kernels/gemm/x86_avx512vnni_sums.h"

// The sums of a tile become int8 in the registers they were summed in.

namespace int8x {
namespace {

using avx512vnni::kPanels;

// Parts of at most `most` that differ by one or not at all: no part is left with too few sums to
// hide the latency of vpdpbusd.
struct Even {
  int parts, size, longer;  // the first `longer` parts have one more

  Even(int total, int most)
      : parts((total + most - 1) / most), size(total / parts), longer(total % parts) {}
  int operator[](int part) const { return part < longer ? size + 1 : size; }
};

// What the columns of up to four panels need; in memory, since the registers hold the sums.
struct alignas(64) Columns {
  __m512i bias[kPanels];
  avx512::Rounding rounding[kPanels];
  __m512i zero_point, min, max, order;
  int64_t out_stride;
  int panels, last;  // last: columns of the last panel
};

void make_columns(const GemmBlock& b, const GemmOutput& o, bool half_up, int column, int panels,
                  Columns* c) {
  for (int j = 0; j < panels; ++j) {
    const avx512::Rounding rounding = avx512::rounding(o.multipliers + column + 16 * j);
    c->rounding[j] = half_up ? avx512::half_up(rounding) : rounding;
    // 2^31 on top for multiply_narrow_biased().
    c->bias[j] = _mm512_xor_si512(_mm512_loadu_si512(o.bias + column + 16 * j),
                                  _mm512_set1_epi32(INT32_MIN));
  }
  // 16 bits: saturated there, values are out of int8's range.
  c->zero_point = _mm512_set1_epi16(static_cast<short>(o.zero_point));
  c->min = _mm512_set1_epi8(static_cast<char>(o.min));
  c->max = _mm512_set1_epi8(static_cast<char>(o.max));
  c->order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  c->out_stride = o.out_stride;
  c->panels = panels;
  const int left = b.n - column;
  c->last = left < 16 * panels ? left - 16 * (panels - 1) : 16;
}

// Four vectors become 64 bytes at once: of one row, or of as many rows as fit.
template <int panels>
constexpr int kTogether = panels > 2 ? 1 : 4 / panels;

// The columns of one row of those in `bytes`.
template <int panels, int row>
INT8X_INLINE void write(const Columns& c, __m512i bytes, int8_t* out) {
  constexpr int kLast = row * panels + panels - 1;  // the lane of the last vector
  if (c.last == 16 && panels == 4) {
    _mm512_storeu_si512(out, bytes);
    return;
  }
  // The vectors before the last are whole.
  if (panels > 2) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm512_castsi512_si256(bytes));
  }
  if (panels % 2 == 0) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 16 * (panels - 2)),
                     _mm512_extracti32x4_epi32(bytes, kLast > 0 ? kLast - 1 : 0));
  }
  const __m128i last = _mm512_extracti32x4_epi32(bytes, kLast);
  int8_t* to = out + 16 * (panels - 1);
  if (c.last == 16) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), last);
  } else {
    _mm_mask_storeu_epi8(to, static_cast<__mmask16>((1u << c.last) - 1), last);
  }
}

// Rows [first + row, ...) of those in `bytes`, as far as the tile has them.
template <int rows, int panels, int first, int row = 0>
INT8X_INLINE void write_rows(const Columns& c, __m512i bytes, int8_t* out) {
  if constexpr (row < kTogether<panels> && first + row < rows) {
    write<panels, row>(c, bytes, out + (first + row) * c.out_stride);
    write_rows<rows, panels, first, row + 1>(c, bytes, out);
  }
}

template <int rows, int panels, int first = 0>
INT8X_INLINE void pack_rows(const Columns& c, const __m512i (&sum)[rows][panels], int8_t* out) {
  if constexpr (first < rows) {
    constexpr int kWidth = 4 / kTogether<panels>;  // vectors of a row
    __m512i y[4];
    INT8X_UNROLL
    for (int v = 0; v < 4; ++v) {
      const int row = first + v / kWidth, panel = v % kWidth;
      y[v] = sum[row < rows ? row : rows - 1][panel < panels ? panel : panels - 1];
    }
    const __m512i low = _mm512_adds_epi16(_mm512_packs_epi32(y[0], y[1]), c.zero_point);
    const __m512i high = _mm512_adds_epi16(_mm512_packs_epi32(y[2], y[3]), c.zero_point);
    __m512i bytes = _mm512_packs_epi16(low, high);
    bytes = _mm512_min_epi8(_mm512_max_epi8(bytes, c.min), c.max);
    bytes = _mm512_permutexvar_epi32(c.order, bytes);
    write_rows<rows, panels, first>(c, bytes, out);
    pack_rows<rows, panels, first + kTogether<panels>>(c, sum, out);
  }
}

// Where the rows of lhs lie, one after the other.
class Rows {
 public:
  explicit Rows(const GemmBlock& b)
      : at_(static_cast<const uint8_t*>(b.lhs)),
        stride_(b.lhs_stride),
        line_(b.line > 0 ? b.line : b.m),
        next_line_(b.line_stride - line_ * b.lhs_stride) {}
  int line() const { return line_; }
  // The next row; `count` rows are passed, which may reach the end of the line but not beyond.
  const uint8_t* take(int count) {
    const uint8_t* here = at_;
    at_ += count * stride_;
    x_ += count;
    if (x_ == line_) {
      x_ = 0;
      at_ += next_line_;
    }
    return here;
  }

 private:
  const uint8_t* at_;
  const int64_t stride_;
  const int line_;
  const int64_t next_line_;
  int x_ = 0;
};

template <int rows, int panels, bool half_up, bool overlapping>
void tile(const GemmBlock& b, Rows& lhs, const int8_t* rhs, const Columns& c, int8_t* out) {
  __m512i sum[rows][panels];
  if constexpr (overlapping) {
    avx512vnni::sum_overlapping(b, lhs.take(rows), rhs, sum);
  } else {
    const uint8_t* rows_at[rows];
    INT8X_UNROLL
    for (int i = 0; i < rows; ++i) rows_at[i] = lhs.take(1);
    avx512vnni::sum_tile(b, rows_at, rhs, sum);
  }
  INT8X_UNROLL
  for (int j = 0; j < panels; ++j) {
    const avx512::Rounding& r = c.rounding[j];
    INT8X_UNROLL_ROWS
    for (int i = 0; i < rows; ++i) {
      const __m512i biased = _mm512_add_epi32(sum[i][j], c.bias[j]);
      sum[i][j] = half_up ? avx512::multiply_half_up_biased(biased, r)
                          : avx512::multiply_narrow_biased(biased, r);
    }
  }
  pack_rows<rows, panels>(c, sum, out);
}

// tile() for a number of rows known when it runs, at most `rows`.
template <int rows, int panels, bool half_up, bool overlapping>
void tile_of(int count, const GemmBlock& b, Rows& lhs, const int8_t* rhs, const Columns& c,
             int8_t* out) {
  if (count == rows) {
    tile<rows, panels, half_up, overlapping>(b, lhs, rhs, c, out);
  } else if constexpr (rows > 1) {
    tile_of<rows - 1, panels, half_up, overlapping>(count, b, lhs, rhs, c, out);
  }
}

// Tiles that overlap end where their line ends, others go on with the next.
template <int panels, bool half_up, bool overlapping>
void tiles(const GemmBlock& b, const GemmOutput& o, const int8_t* rhs, int column,
           const Columns& c) {
  constexpr int kMost = overlapping ? 16 / panels : avx512vnni::kRows;
  Rows lhs(b);
  const int together = overlapping ? lhs.line() : b.m;
  const Even rows(together, kMost);
  int8_t* out = o.out + column;
  for (int i = 0; i < b.m; i += together) {
    for (int part = 0; part < rows.parts; ++part) {
      tile_of<kMost, panels, half_up, overlapping>(rows[part], b, lhs, rhs, c, out);
      out += rows[part] * o.out_stride;
    }
  }
}

template <int panels, bool half_up>
void all_rows(const GemmBlock& b, const GemmOutput& o, const int8_t* rhs, int column,
              const Columns& c) {
  if (panels <= 2 && avx512vnni::rows_overlap(b)) {
    tiles<panels, half_up, (panels <= 2)>(b, o, rhs, column, c);
  } else {
    tiles<panels, half_up, false>(b, o, rhs, column, c);
  }
}

template <bool half_up>
void all_columns(const GemmBlock& b, const GemmOutput& o) {
  const Even panels((b.n + 15) / 16, kPanels);
  const int8_t* rhs = b.rhs;
  Columns columns;
  for (int part = 0, column = 0; part < panels.parts; ++part) {
    const int count = panels[part];
    make_columns(b, o, half_up, column, count, &columns);
    if (count == 4) all_rows<4, half_up>(b, o, rhs, column, columns);
    if (count == 3) all_rows<3, half_up>(b, o, rhs, column, columns);
    if (count == 2) all_rows<2, half_up>(b, o, rhs, column, columns);
    if (count == 1) all_rows<1, half_up>(b, o, rhs, column, columns);
    rhs += count * avx512vnni::panel_bytes(b);
    column += 16 * count;
  }
}

}  // namespace

void gemm_s8_s8_s8_6x64x4_avx512vnni(const GemmBlock& b, const GemmOutput& o) {
  if (rounds_of(true, o.zero_point, o.min) == Rounds::half_up) {
    all_columns<true>(b, o);
  } else {
    all_columns<false>(b, o);
  }
}

}  // namespace int8x
