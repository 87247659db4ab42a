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
  // Blocks of `rows` output rows; `pointwise` reads what `depthwise` writes, pixel by pixel.
  PairStep(std::unique_ptr<const DepthwiseStep> depthwise,
           std::unique_ptr<const ConvStep> pointwise, int32_t rows);

  const char* kernel() const override { return kernel_.c_str(); }
  int64_t macs() const override { return depthwise_->macs() + pointwise_->macs(); }
  int64_t cost() const override { return depthwise_->cost() + pointwise_->cost(); }
  int64_t tiles() const override;
  size_t scratch_bytes() const override;
  void run(void* const* data, int64_t begin, int64_t end, void* scratch) const override;

 private:
  // The 1x1 convolution of so many rows.
  struct Block {
    Block(const ConvStep& step, int32_t rows);
    ConvGeometry geometry;
    ConvLayout layout;
    int64_t tiles;
  };

  size_t between_bytes() const;

  const std::unique_ptr<const DepthwiseStep> depthwise_;
  const std::unique_ptr<const ConvStep> pointwise_;
  const int32_t rows_;
  const Block block_, last_;
  const std::string kernel_;
};

}  // namespace int8x

#endif  // INT8X_PLAN_PAIR_STEP_H_
