#include "delegate/plan/pair_step.h"

#include <algorithm>
#include <utility>

#include "delegate/base/memory.h"

namespace int8x {

PairStep::PairStep(std::unique_ptr<const DepthwiseStep> depthwise, const Step& pointwise,
                   int32_t rows, int32_t between_c, int32_t out_c)
    : Step(StepKind::pair, "DEPTHWISE_CONV_2D+CONV_2D", depthwise->inputs, pointwise.output),
      depthwise_(std::move(depthwise)),
      rows_(rows),
      blocks_((depthwise_->params.geometry.out_h - 1) / rows + 1),
      block_(pointwise.for_rows(rows)),
      last_(pointwise.for_rows((depthwise_->params.geometry.out_h - 1) % rows + 1)),
      between_bytes_(align_up(static_cast<size_t>(rows) *
                              static_cast<size_t>(depthwise_->params.geometry.out_w) *
                              static_cast<size_t>(between_c))),
      out_row_(int64_t{depthwise_->params.geometry.out_w} * out_c),
      macs_(depthwise_->macs() + pointwise.macs()),
      cost_(depthwise_->cost() + pointwise.cost()),
      kernel_(std::string(depthwise_->kernel()) + "+" + pointwise.kernel()) {
  node = pointwise.node;
}

size_t PairStep::scratch_bytes() const {
  return between_bytes_ +
         std::max({depthwise_->scratch_bytes(), block_->scratch_bytes(), last_->scratch_bytes()});
}

void PairStep::run(void* const* data, int64_t begin, int64_t end, void* scratch) const {
  const int32_t out_h = depthwise_->params.geometry.out_h;
  int8_t* between = static_cast<int8_t*>(scratch);
  void* rest = between + between_bytes_;
  const int8_t* from = static_cast<const int8_t*>(data[inputs[0]]);
  int8_t* to = static_cast<int8_t*>(data[output]);
  for (int64_t tile = begin; tile < end; ++tile) {
    const int32_t batch = static_cast<int32_t>(tile / blocks_);
    const int32_t first = static_cast<int32_t>(tile % blocks_) * rows_;
    const int32_t count = std::min(rows_, out_h - first);
    depthwise_run_rows(depthwise_->params, from, between, batch, first, first + count, rest);
    void* const block_data[] = {between, to + (int64_t{batch} * out_h + first) * out_row_};
    const Step& block = count == rows_ ? *block_ : *last_;
    block.run(block_data, 0, block.tiles(), rest);
  }
}

}  // namespace int8x
