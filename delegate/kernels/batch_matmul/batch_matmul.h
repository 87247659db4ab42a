// BATCH_MATMUL of int8 tensors (docs/numerics.md, `batch_matmul_run`). For each batch
//
//   acc[i, j] = sum over k of (lhs[i, k] - lhs_zero_point) * (rhs[k, j] - rhs_zero_point), wrapping
//   output    = clamp(MBQM(acc, multiplier) + output_zero_point, -128, 127)
//
// Both sides come while running: the right one is packed anew in scratch for each batch.

#ifndef INT8X_KERNELS_BATCH_MATMUL_BATCH_MATMUL_H_
#define INT8X_KERNELS_BATCH_MATMUL_BATCH_MATMUL_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "delegate/base/arch.h"
#include "delegate/kernels/gemm/gemm_requantize.h"

namespace int8x {

struct BatchMatmulShape {
  int m, n, k;                                // at least 1
  bool lhs_transposed, rhs_transposed;        // lhs is [k][m], rhs is [n][k]
  std::vector<int64_t> lhs_batch, rhs_batch;  // for each batch: where its matrix begins
};

struct BatchMatmulParams {
  BatchMatmulShape shape;
  Multiplier multiplier;
  int32_t lhs_zero_point, rhs_zero_point, output_zero_point;
  GemmRequantize kernels;
};

// False when a size is not positive, k could overflow the sums of a row, the batches differ in
// number, or there is none.
bool make_batch_matmul_params(const BatchMatmulShape& shape, Multiplier multiplier,
                              int32_t lhs_zero_point, int32_t rhs_zero_point,
                              int32_t output_zero_point, arch::ArchSet archs,
                              BatchMatmulParams* out);

size_t batch_matmul_scratch_bytes(const BatchMatmulParams& params);
int64_t batch_matmul_tiles(const BatchMatmulParams& params);  // batches
void batch_matmul_run(const BatchMatmulParams& params, const int8_t* lhs, const int8_t* rhs,
                      int8_t* output, int64_t tile_begin, int64_t tile_end, void* scratch);
const char* batch_matmul_kernel_name(const BatchMatmulParams& params);

}  // namespace int8x

#endif  // INT8X_KERNELS_BATCH_MATMUL_BATCH_MATMUL_H_
