#include <immintrin.h>

#include "delegate/base/inline.h"
#include "delegate/fixed_point/vector_avx512.h"
#include "delegate/kernels/gemm/gemm.h"
#include "delegate/kernels/gemm/gemm_requantize.h"

namespace int8x {
namespace {

#define INT8X_UNROLL _Pragma("GCC unroll 4")

// Tiles 0..3 hold sums of 16 x 16, 4 and 5 the left side, 16 rows of one step of k; 6 and 7 the
// weights, a quarter as many rows of 16 columns x 4 k. Rows that are not there are left out, so
// that nothing beyond the last is read or written; up to 16 rows need no second tile of the left
// side, and 5 takes weights.
struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};

  TileConfig(int step, int m) {
    const bool two = m > 16;
    const int low = two ? 16 : m, high = two ? m - 16 : m;
    set(0, low, 64);
    set(1, low, 64);
    set(2, high, 64);
    set(3, high, 64);
    set(4, low, step);
    set(5, two ? high : step / 4, two ? step : 64);
    set(6, step / 4, 64);
    set(7, step / 4, 64);
  }
  void set(int tile, int tile_rows, int bytes) {
    rows[tile] = static_cast<uint8_t>(tile_rows);
    row_bytes[tile] = static_cast<uint16_t>(bytes);
  }
};

int step_of(const GemmBlock& b) { return b.k / ((b.k + 63) / 64); }

int64_t panel_bytes_of(const GemmBlock& b) { return int64_t{b.taps} * b.k * 16; }

// GCC's tile intrinsics do not say what memory they read: what was written for them is written
// here.
INT8X_INLINE void publish(const void* memory) { asm volatile("" : : "r"(memory) : "memory"); }

void configure(int step, int m) {
  const TileConfig config(step, m);
  publish(&config);
  _tile_loadconfig(&config);
}

struct Nothing {
  void operator()() const {}
};

// Sums of 16 * row_tiles rows (1 or 2) and 16 * column_tiles columns (1, 2; or 3, 4 of one row
// tile: a product takes 52 cycles, so fewer than four sums would wait for each other). `between` is
// called once for each step of k, to fill the vector units while the tile unit works.
template <int row_tiles, int column_tiles, typename Between>
INT8X_INLINE void tile(const GemmBlock& b, int step, const int8_t* lhs_begin, const int8_t* rhs,
                       int32_t* c, int64_t c_stride, Between& between) {
  const int64_t stride = b.lhs_stride, panel_bytes = panel_bytes_of(b);
  _tile_zero(0);
  if (row_tiles == 2 || column_tiles > 1) _tile_zero(1);
  if (row_tiles == 2 || column_tiles > 2) _tile_zero(2);
  if (row_tiles * column_tiles == 4) _tile_zero(3);
  for (int t = 0; t < b.taps; ++t) {
    const int8_t* lhs = lhs_begin + b.tap_offsets[t];
    for (int k = 0; k < b.k; k += step, lhs += step, rhs += step * 16) {
      _tile_loadd(6, rhs, 64);
      _tile_loadd(4, lhs, stride);
      _tile_dpbssd(0, 4, 6);
      if (row_tiles == 2) {
        _tile_loadd(5, lhs + 16 * stride, stride);
        _tile_dpbssd(2, 5, 6);
      }
      if (column_tiles > 1) {
        _tile_loadd(7, rhs + panel_bytes, 64);
        _tile_dpbssd(1, 4, 7);
        if (row_tiles == 2) _tile_dpbssd(3, 5, 7);
      }
      if (column_tiles > 2) {
        _tile_loadd(5, rhs + 2 * panel_bytes, 64);
        _tile_dpbssd(2, 4, 5);
      }
      if (column_tiles > 3) {
        _tile_loadd(6, rhs + 3 * panel_bytes, 64);
        _tile_dpbssd(3, 4, 6);
      }
      between();
    }
  }
  const int64_t c_bytes = c_stride * 4;
  _tile_stored(0, c, c_bytes);
  if (column_tiles > 1) _tile_stored(1, c + 16, c_bytes);
  if (row_tiles == 2) {
    _tile_stored(2, c + 16 * c_stride, c_bytes);
    if (column_tiles > 1) _tile_stored(3, c + 16 * c_stride + 16, c_bytes);
  } else {
    if (column_tiles > 2) _tile_stored(2, c + 32, c_bytes);
    if (column_tiles > 3) _tile_stored(3, c + 48, c_bytes);
  }
}

// A row of tiles of 17 to 32 rows, and of at most 16.
void thirty_two_rows(const GemmBlock& b, int step, const int8_t* lhs, int32_t* c) {
  Nothing nothing;
  const int64_t panel_bytes = panel_bytes_of(b);
  const int8_t* rhs = b.rhs;
  int panels = (b.n + 15) / 16;
  for (; panels >= 2; panels -= 2, rhs += 2 * panel_bytes, c += 32)
    tile<2, 2>(b, step, lhs, rhs, c, b.c_stride, nothing);
  if (panels == 1) tile<2, 1>(b, step, lhs, rhs, c, b.c_stride, nothing);
}

void sixteen_rows(const GemmBlock& b, int step, const int8_t* lhs, int32_t* c) {
  Nothing nothing;
  const int64_t panel_bytes = panel_bytes_of(b);
  const int8_t* rhs = b.rhs;
  int panels = (b.n + 15) / 16;
  for (; panels >= 4; panels -= 4, rhs += 4 * panel_bytes, c += 64)
    tile<1, 4>(b, step, lhs, rhs, c, b.c_stride, nothing);
  if (panels == 3) tile<1, 3>(b, step, lhs, rhs, c, b.c_stride, nothing);
  if (panels == 2) tile<1, 2>(b, step, lhs, rhs, c, b.c_stride, nothing);
  if (panels == 1) tile<1, 1>(b, step, lhs, rhs, c, b.c_stride, nothing);
}

// Requantizes up to 32 rows of 16 * vectors columns, two rows at each call.
template <int vectors, bool half_up>
class Requantizer {
 public:
  INT8X_INLINE_MEMBER Requantizer(const GemmOutput& o, int column, int columns)
      : o_(o), column_(column) {
    INT8X_UNROLL
    for (int v = 0; v < vectors; ++v) {
      const avx512::Rounding rounding = avx512::rounding(o.multipliers + column + 16 * v);
      rounding_[v] = half_up ? avx512::half_up(rounding) : rounding;
      // 2^31 on top for multiply_narrow_biased().
      bias_[v] = _mm512_xor_si512(_mm512_loadu_si512(o.bias + column + 16 * v),
                                  _mm512_set1_epi32(INT32_MIN));
    }
    zero_point_ = _mm512_set1_epi16(static_cast<short>(o.zero_point));
    min_ = _mm512_set1_epi8(static_cast<char>(o.min));
    max_ = _mm512_set1_epi8(static_cast<char>(o.max));
    order_ = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    mask_ = columns >= 32 ? 0xffffffffu : (1u << columns) - 1;
  }

  // Sums of rows [first, first + rows) of the block come next, two rows to 64 elements of c.
  INT8X_INLINE_MEMBER void take(const int32_t* c, int first, int rows) {
    c_ = c;
    left_ = rows;
    x_ = first % o_.period;
    const int64_t row = int64_t{first / o_.period} * o_.valid + (x_ < o_.valid ? x_ : o_.valid);
    out_ = o_.out + row * o_.out_stride + column_;
  }

  INT8X_INLINE_MEMBER void two_rows() {
    const __m512i low = row(c_), high = row(c_ + 32);
    c_ += 64;
    __m512i bytes = _mm512_packs_epi16(low, high);
    bytes = _mm512_min_epi8(_mm512_max_epi8(bytes, min_), max_);
    bytes = _mm512_permutexvar_epi32(order_, bytes);
    write(_mm512_castsi512_si256(bytes));
    if (left_ > 0) write(_mm512_extracti64x4_epi64(bytes, 1));
  }

  INT8X_INLINE_MEMBER void rest() {
    while (left_ > 0) two_rows();
  }

  INT8X_INLINE_MEMBER int left() const { return left_; }

 private:
  // 16-bit values with the zero point: saturated here, they are out of int8's range.
  INT8X_INLINE_MEMBER __m512i row(const int32_t* c) const {
    __m512i y[2];
    INT8X_UNROLL
    for (int v = 0; v < vectors; ++v) {
      const __m512i sum = _mm512_add_epi32(bias_[v], _mm512_load_si512(c + 16 * v));
      y[v] = half_up ? avx512::multiply_half_up_biased(sum, rounding_[v])
                     : avx512::multiply_narrow_biased(sum, rounding_[v]);
    }
    return _mm512_adds_epi16(_mm512_packs_epi32(y[0], y[vectors - 1]), zero_point_);
  }

  INT8X_INLINE_MEMBER void write(__m256i bytes) {
    if (x_ < o_.valid) {
      _mm256_mask_storeu_epi8(out_, mask_, bytes);
      out_ += o_.out_stride;
    }
    if (++x_ == o_.period) x_ = 0;
    --left_;
  }

  const GemmOutput& o_;
  avx512::Rounding rounding_[vectors];
  __m512i bias_[vectors], zero_point_, min_, max_, order_;
  const int32_t* c_ = nullptr;
  int8_t* out_ = nullptr;
  int64_t column_;
  int left_ = 0, x_ = 0;
  __mmask32 mask_;
};

// While the tile unit works on 32 rows, the vector units requantize the 32 rows before them.
template <typename Requantizer>
class Interleave {
 public:
  INT8X_INLINE_MEMBER Interleave(Requantizer& requantizer, int pairs)
      : requantizer_(requantizer), pairs_(pairs) {}
  INT8X_INLINE_MEMBER void operator()() {
    for (int i = 0; i < pairs_ && requantizer_.left() > 0; ++i) requantizer_.two_rows();
  }

 private:
  Requantizer& requantizer_;
  const int pairs_;
};

// Rows [first, end) of 16 * vectors columns, `height` at a time. The sums of two times so many rows
// alternate in the scratch.
template <int vectors, bool half_up>
void columns(const GemmBlock& b, const GemmOutput& o, int step, int first, int end, int height,
             int column) {
  Requantizer<vectors, half_up> requantizer(o, column, b.n - column);
  const int steps = b.taps * (b.k / step);
  Interleave<Requantizer<vectors, half_up>> between(requantizer, (height / 2 + steps - 1) / steps);
  const int8_t* lhs = static_cast<const int8_t*>(b.lhs) + first * b.lhs_stride;
  const int8_t* rhs = b.rhs + column / 16 * panel_bytes_of(b);
  int32_t* c = b.c;
  for (int i = first; i < end; i += height, lhs += height * b.lhs_stride) {
    tile<2, vectors>(b, step, lhs, rhs, c, 32, between);
    requantizer.rest();
    requantizer.take(c, i, height);
    c = c == b.c ? b.c + 32 * 32 : b.c;
  }
  requantizer.rest();
}

template <bool half_up>
void all_columns(const GemmBlock& b, const GemmOutput& o, int first, int end, int height) {
  if (first == end) return;
  const int step = step_of(b);
  configure(step, height);
  int j = 0;
  for (; j + 16 < b.n; j += 32) columns<2, half_up>(b, o, step, first, end, height, j);
  if (j < b.n) columns<1, half_up>(b, o, step, first, end, height, j);
}

}  // namespace

void gemm_s8_s8_s32_32x32x64_avx512amx(const GemmBlock& b) {
  const int step = step_of(b), whole = b.m / 32 * 32, rest = b.m - whole;
  const int8_t* lhs = static_cast<const int8_t*>(b.lhs);
  int32_t* c = b.c;
  if (whole > 0) {
    configure(step, 32);
    for (int i = 0; i < whole; i += 32, lhs += 32 * b.lhs_stride, c += 32 * b.c_stride)
      thirty_two_rows(b, step, lhs, c);
  }
  if (rest > 0) {
    configure(step, rest);
    if (rest > 16) {
      thirty_two_rows(b, step, lhs, c);
    } else {
      sixteen_rows(b, step, lhs, c);
    }
  }
  _tile_release();
}

// b.m % 32 is 0 or more than 16: fewer rows do not keep enough sums in flight here.
void gemm_s8_s8_s8_32x32x64_avx512amx(const GemmBlock& b, const GemmOutput& o) {
  const int whole = b.m / 32 * 32;
  if (rounds_of(true, o.zero_point, o.min) == Rounds::half_up) {
    all_columns<true>(b, o, 0, whole, 32);
    all_columns<true>(b, o, whole, b.m, b.m - whole);
  } else {
    all_columns<false>(b, o, 0, whole, 32);
    all_columns<false>(b, o, whole, b.m, b.m - whole);
  }
  _tile_release();
}

}  // namespace int8x
