#include "delegate/kernels/batch_matmul/batch_matmul.h"

#include <cstring>

namespace int8x {
namespace {

constexpr int64_t kAlignment = 64;
// Rows of the left side held at a time.
constexpr int kRows = 96;

int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

// Scratch, one after the other.
struct Layout {
  int64_t sums, columns, rhs, packed, lhs, row, row_sums;  // bytes
  int64_t all() const {
    return sums + columns * 12 + rhs + packed + lhs + row + row_sums;  // bias and Multiplier
  }
};

Layout layout_of(const BatchMatmulParams& p) {
  const GemmKernel& gemm = *p.kernels.gemm;
  const BatchMatmulShape& s = p.shape;
  Layout l;
  l.sums = round_up(gemm_requantize_scratch() * 4, kAlignment);
  l.columns = round_up(round_up(s.n, gemm.panel), round_up(kRequantizeColumns, kAlignment));
  l.rhs = s.rhs_transposed ? 0 : round_up(int64_t{s.n} * s.k, kAlignment);
  l.packed = round_up(gemm_packed_rhs_bytes(gemm, s.n, 1, s.k), kAlignment);
  l.lhs = round_up(int64_t{kRows} * gemm_padded_k(gemm, s.k) * bytes_of(gemm.lhs), kAlignment);
  l.row = round_up(s.k, kAlignment);
  l.row_sums = round_up(kRows * 4, kAlignment);
  return l;
}

// One call of batch_matmul_run().
class Run {
 public:
  Run(const BatchMatmulParams& p, void* scratch) : p_(p), layout_(layout_of(p)) {
    uint8_t* at = static_cast<uint8_t*>(scratch);
    const auto take = [&at](int64_t bytes) {
      uint8_t* taken = at;
      at += bytes;
      return taken;
    };
    sums_ = reinterpret_cast<int32_t*>(take(layout_.sums));
    multipliers_ = reinterpret_cast<Multiplier*>(take(layout_.columns * 8));
    bias_ = reinterpret_cast<int32_t*>(take(layout_.columns * 4));
    rhs_ = reinterpret_cast<int8_t*>(take(layout_.rhs));
    packed_ = reinterpret_cast<int8_t*>(take(layout_.packed));
    lhs_ = take(layout_.lhs);
    row_ = reinterpret_cast<int8_t*>(take(layout_.row));
    row_sums_ = reinterpret_cast<int32_t*>(take(layout_.row_sums));
    for (int64_t j = 0; j < layout_.columns; ++j) multipliers_[j] = p.multiplier;
  }

  void batch(const int8_t* lhs, const int8_t* rhs, int8_t* output) {
    pack(rhs);
    for (int first = 0; first < p_.shape.m; first += kRows) {
      const int count = p_.shape.m - first < kRows ? p_.shape.m - first : kRows;
      copy_rows(lhs, first, count);
      multiply(count, output + int64_t{first} * p_.shape.n);
    }
  }

 private:
  void pack(const int8_t* rhs) {
    const BatchMatmulShape& s = p_.shape;
    const int8_t* columns = rhs;
    if (!s.rhs_transposed) {
      for (int k = 0; k < s.k; ++k) {
        for (int j = 0; j < s.n; ++j) rhs_[int64_t{j} * s.k + k] = rhs[int64_t{k} * s.n + j];
      }
      columns = rhs_;
    }
    gemm_pack_rhs(*p_.kernels.gemm, s.n, 1, s.k, columns, packed_);
    // (a - za) * (b - zb) = a * b - za * b - zb * a + za * zb; row sums bring the third.
    const int64_t offset = p_.lhs_zero_point + lhs_offset(p_.kernels.gemm->lhs);
    const int64_t zero_points = int64_t{s.k} * p_.lhs_zero_point * p_.rhs_zero_point;
    std::memset(bias_, 0, static_cast<size_t>(layout_.columns) * sizeof(int32_t));
    for (int j = 0; j < s.n; ++j) {
      int64_t sum = 0;
      for (int k = 0; k < s.k; ++k) sum += columns[int64_t{j} * s.k + k];
      bias_[j] = static_cast<int32_t>(static_cast<uint64_t>(zero_points - sum * offset));
    }
  }

  void copy_rows(const int8_t* lhs, int first, int count) {
    const BatchMatmulShape& s = p_.shape;
    const GemmKernel& gemm = *p_.kernels.gemm;
    const int64_t row_bytes = int64_t{gemm_padded_k(gemm, s.k)} * bytes_of(gemm.lhs);
    for (int i = 0; i < count; ++i) {
      const int8_t* row = lhs + int64_t{first + i} * s.k;
      if (s.lhs_transposed) {
        for (int k = 0; k < s.k; ++k) row_[k] = lhs[int64_t{k} * s.m + first + i];
        row = row_;
      }
      int32_t sum = 0;
      for (int k = 0; k < s.k; ++k) sum += row[k];
      row_sums_[i] = sum;
      // What lies beyond k meets weights of 0.
      gemm_copy_lhs(gemm.lhs, lhs_ + i * row_bytes, row, s.k);
    }
  }

  void multiply(int count, int8_t* output) {
    constexpr int64_t kNoOffset = 0;
    const GemmKernel& gemm = *p_.kernels.gemm;
    const int padded_k = gemm_padded_k(gemm, p_.shape.k);
    const GemmBlock block = {
        count,      p_.shape.n, 1,     padded_k, lhs_, int64_t{padded_k} * bytes_of(gemm.lhs),
        &kNoOffset, packed_,    sums_, 0};
    const GemmOutput to = {bias_,  multipliers_, nullptr, false, p_.output_zero_point, -128, 127,
                           output, p_.shape.n,   count,   count};
    gemm_requantize(p_.kernels, block, to, row_sums_, -p_.rhs_zero_point);
  }

  const BatchMatmulParams& p_;
  const Layout layout_;
  int32_t* sums_;
  Multiplier* multipliers_;
  int32_t* bias_;
  int8_t* rhs_;     // [n][k], where it does not come so
  int8_t* packed_;  // for the GEMM kernel
  uint8_t* lhs_;    // kRows rows in its format
  int8_t* row_;
  int32_t* row_sums_;
};

}  // namespace

bool make_batch_matmul_params(const BatchMatmulShape& shape, Multiplier multiplier,
                              int32_t lhs_zero_point, int32_t rhs_zero_point,
                              int32_t output_zero_point, arch::ArchSet archs,
                              BatchMatmulParams* out) {
  if (shape.m < 1 || shape.n < 1 || shape.k < 1 || shape.k > (1 << 23)) return false;
  if (shape.lhs_batch.empty() || shape.lhs_batch.size() != shape.rhs_batch.size()) return false;
  *out = {shape,          multiplier,        lhs_zero_point,
          rhs_zero_point, output_zero_point, gemm_requantize_kernels(archs, true, false)};
  return true;
}

size_t batch_matmul_scratch_bytes(const BatchMatmulParams& params) {
  return static_cast<size_t>(layout_of(params).all());
}

int64_t batch_matmul_tiles(const BatchMatmulParams& params) {
  return static_cast<int64_t>(params.shape.lhs_batch.size());
}

void batch_matmul_run(const BatchMatmulParams& p, const int8_t* lhs, const int8_t* rhs,
                      int8_t* output, int64_t tile_begin, int64_t tile_end, void* scratch) {
  if (tile_begin >= tile_end) return;
  Run run(p, scratch);
  const int64_t matrix = int64_t{p.shape.m} * p.shape.n;
  for (int64_t batch = tile_begin; batch < tile_end; ++batch) {
    const size_t b = static_cast<size_t>(batch);
    run.batch(lhs + p.shape.lhs_batch[b], rhs + p.shape.rhs_batch[b], output + batch * matrix);
  }
}

const char* batch_matmul_kernel_name(const BatchMatmulParams& params) {
  return gemm_requantize_name(params.kernels, false);
}

}  // namespace int8x
