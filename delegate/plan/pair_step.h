// A depthwise convolution and the 1x1 convolution that alone reads it, as one step over blocks of
// output rows: what the first writes stays with the thread that wrote it, in its scratch, and the
// pair is handed out once.

#ifndef INT8X_PLAN_PAIR_STEP_H_
#define INT8X_PLAN_PAIR_STEP_H_

#include <memory>
#include <string>

#include "delegate/plan/steps.h"

namespace int8x {

class PairStep : public Step {
 public:
  // Blocks of `rows` output rows. `pointwise` has a for_rows(), reads what `depthwise` writes and
  // writes pixels of out_c bytes.
  PairStep(std::unique_ptr<const DepthwiseStep> depthwise, const Step& pointwise, int32_t rows,
           int32_t between_c, int32_t out_c);

  const char* kernel() const override { return kernel_.c_str(); }
  int64_t macs() const override { return macs_; }
  int64_t cost() const override { return cost_; }
  int64_t tiles() const override { return int64_t{depthwise_->params.geometry.batch} * blocks_; }
  size_t scratch_bytes() const override;
  void run(void* const* data, int64_t begin, int64_t end, void* scratch) const override;

 private:
  const std::unique_ptr<const DepthwiseStep> depthwise_;
  const int32_t rows_, blocks_;  // of one image
  const std::unique_ptr<const Step> block_, last_;
  const size_t between_bytes_;
  const int64_t out_row_;  // bytes
  const int64_t macs_, cost_;
  const std::string kernel_;
};

}  // namespace int8x

#endif  // INT8X_PLAN_PAIR_STEP_H_
