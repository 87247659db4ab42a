// A convolution or matrix product with pruned weights: they are shared, the geometry is the step's
// own.

#ifndef INT8X_PLAN_SPARSE_STEP_H_
#define INT8X_PLAN_SPARSE_STEP_H_

#include <memory>
#include <utility>

#include "delegate/kernels/sparse/sparse.h"
#include "delegate/plan/steps.h"

namespace int8x {

class SparseStep : public Step {
 public:
  SparseStep(const char* op, std::shared_ptr<const SparseWeights> weights, ValueId input,
             ValueId output, const SparseGeometry& geometry, Work work)
      : Step(StepKind::sparse, op, {input}, output),
        weights(std::move(weights)),
        geometry(geometry),
        work_(work) {}

  const std::shared_ptr<const SparseWeights> weights;
  const SparseGeometry geometry;

  const char* kernel() const override { return sparse_kernel_name(*weights); }
  int64_t macs() const override { return work_.macs; }
  int64_t cost() const override { return work_.nanoseconds; }
  int64_t tiles() const override { return sparse_tiles(*weights, geometry); }
  size_t scratch_bytes() const override { return sparse_scratch_bytes(*weights, geometry); }
  std::unique_ptr<Step> for_rows(int32_t rows) const override {
    SparseGeometry g = geometry;
    if (g.kernel_h * g.kernel_w * g.stride_h * g.stride_w != 1 || g.pad_top + g.pad_left != 0 ||
        g.in_h != g.out_h || g.in_w != g.out_w) {
      return nullptr;
    }
    g.batch = 1;
    g.in_h = g.out_h = rows;
    return std::make_unique<SparseStep>(op, weights, 0, 1, g, work_);
  }
  void run(void* const* data, int64_t begin, int64_t end, void* scratch) const override {
    sparse_run(*weights, geometry, static_cast<const int8_t*>(data[inputs[0]]),
               static_cast<int8_t*>(data[output]), begin, end, scratch);
  }

 private:
  const Work work_;
};

}  // namespace int8x

#endif  // INT8X_PLAN_SPARSE_STEP_H_
