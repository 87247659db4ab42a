#include "delegate/kernels/gemm/gemm_requantize.h"

namespace int8x {
namespace {

struct Fused {
  const char* name;
  void (*gemm)(const GemmBlock& block);
  int least_rest;
  bool lines;
  void (*run)(const GemmBlock& block, const GemmOutput& output);
};

#define INT8X_GEMM_KERNEL(...)
#define INT8X_GEMV_REQUANTIZE_KERNEL(...)
#define INT8X_GEMM_REQUANTIZE_KERNEL(arch, name, gemm, least_rest, lines) \
  {#name, gemm, least_rest, lines, name},
constexpr Fused kFused[] = {
#include "delegate/kernels/gemm/kernels.inc"
    {nullptr, nullptr, 0, false, nullptr},
};
#undef INT8X_GEMV_REQUANTIZE_KERNEL
#undef INT8X_GEMM_REQUANTIZE_KERNEL
#undef INT8X_GEMM_KERNEL

struct FusedRow {
  const char* name;
  void (*gemm)(const GemmBlock& block);
  void (*run)(const GemmBlock& block, const GemmOutput& output);
};

#define INT8X_GEMM_KERNEL(...)
#define INT8X_GEMM_REQUANTIZE_KERNEL(...)
#define INT8X_GEMV_REQUANTIZE_KERNEL(arch, name, gemm) {#name, gemm, name},
constexpr FusedRow kFusedRows[] = {
#include "delegate/kernels/gemm/kernels.inc"
    {nullptr, nullptr, nullptr},
};
#undef INT8X_GEMV_REQUANTIZE_KERNEL
#undef INT8X_GEMM_REQUANTIZE_KERNEL
#undef INT8X_GEMM_KERNEL

// Sums in the first-level cache at a time: 16 KiB, this many rows or fewer.
constexpr int kChunkRows = 48, kChunkSums = 4096;

int round_up(int value, int step) { return (value + step - 1) / step * step; }

int min(int a, int b) { return a < b ? a : b; }

template <typename Fused>
const Fused& fused_of(const Fused* fused, const GemmKernel& kernel) {
  while (fused->gemm != nullptr && fused->gemm != kernel.run) ++fused;
  return *fused;
}

void add_row_sums(int32_t* c, int64_t c_stride, int m, int n, const int32_t* row_sums,
                  int32_t row_factor) {
  for (int i = 0; i < m; ++i) {
    const uint32_t value = static_cast<uint32_t>(row_sums[i]) * static_cast<uint32_t>(row_factor);
    for (int j = 0; j < n; ++j)
      c[i * c_stride + j] = wrapping_add(c[i * c_stride + j], static_cast<int32_t>(value));
  }
}

// Rows [row, row + m) of the block, whose sums start at c, to those output rows they belong to.
void requantize_rows(const RequantizeKernel& kernel, const GemmOutput& o, int row, int m,
                     int column, int n, const int32_t* c, int64_t c_stride) {
  for (int i = row; i < row + m;) {
    const int x = i % o.period;
    const int run = min(o.period - x, row + m - i);
    const int written = min(o.valid - x, run);
    if (written > 0) {
      const int64_t out_row = int64_t{i / o.period} * o.valid + x;
      kernel.run({written, n, c + (i - row) * c_stride, c_stride, o.bias + column,
                  o.multipliers == nullptr ? nullptr : o.multipliers + column,
                  o.scales == nullptr ? nullptr : o.scales + column, o.narrow, o.zero_point, o.min,
                  o.max, o.out + out_row * o.out_stride + column, o.out_stride});
    }
    i += run;
  }
}

}  // namespace

GemmRequantize gemm_requantize_kernels(arch::ArchSet archs, bool has_minus_128, bool in_double) {
  const GemmKernel& gemm = gemm_kernel(archs, has_minus_128);
  if (in_double) {
    return {&gemm, &requantize_double_kernel(archs), nullptr, 0,
            false, fused_of(kFusedRows, gemm).run};
  }
  const Fused& fused = fused_of(kFused, gemm);
  return {&gemm, &requantize_kernel(archs), fused.run, fused.least_rest, fused.lines, nullptr};
}

const char* gemm_requantize_name(const GemmRequantize& kernels, bool narrow) {
  return narrow && kernels.fused != nullptr ? fused_of(kFused, *kernels.gemm).name
                                            : kernels.gemm->name;
}

bool gemm_requantize_takes_lines(const GemmRequantize& kernels, bool narrow) {
  return narrow && kernels.fused != nullptr && kernels.lines;
}

int64_t gemm_requantize_scratch() { return kChunkSums; }

void gemm_requantize(const GemmRequantize& kernels, const GemmBlock& block,
                     const GemmOutput& output, const int32_t* row_sums, int32_t row_factor) {
  if (kernels.fused_row != nullptr && block.m == 1 && row_sums == nullptr) {
    kernels.fused_row(block, output);
    return;
  }
  const GemmKernel& gemm = *kernels.gemm;
  int begin = 0;
  if (kernels.fused != nullptr && output.narrow && row_sums == nullptr) {
    const int rest = block.m % gemm.mr;
    begin = rest >= kernels.least_rest ? block.m : block.m - rest;
    GemmBlock whole = block;
    whole.m = begin;
    if (begin > 0) kernels.fused(whole, output);
    if (begin == block.m) return;
  }
  // Few rows take more columns: a call then has enough to do.
  const int rows = min(round_up(kChunkRows, gemm.mr), block.m - begin);
  const int columns = kChunkSums / rows / 64 * 64;
  const int64_t column_bytes = int64_t{block.taps} * block.k;
  for (int j = 0; j < block.n; j += columns) {
    for (int i = begin; i < block.m; i += rows) {
      GemmBlock chunk = block;
      chunk.m = min(rows, block.m - i);
      chunk.n = min(columns, block.n - j);
      chunk.lhs = static_cast<const uint8_t*>(block.lhs) + i * block.lhs_stride;
      chunk.rhs = block.rhs + j * column_bytes;
      chunk.c_stride = columns;
      gemm.run(chunk);
      if (row_sums != nullptr)
        add_row_sums(chunk.c, columns, chunk.m, chunk.n, row_sums + i, row_factor);
      requantize_rows(*kernels.requantize, output, i, chunk.m, j, chunk.n, chunk.c, columns);
    }
  }
}

}  // namespace int8x
