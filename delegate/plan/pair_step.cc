#include "delegate/plan/pair_step.h"

#include <algorithm>
#include <utility>

#include "delegate/base/memory.h"

namespace int8x {

PairStep::Block::Block(const ConvStep& step, int32_t rows) : geometry(step.geometry) {
  geometry.batch = 1;
  geometry.in_h = geometry.out_h = rows;
  layout = conv_layout(*step.weights, geometry);
  tiles = conv_tiles(*step.weights, geometry);
}

PairStep::PairStep(std::unique_ptr<const DepthwiseStep> depthwise,
                   std::unique_ptr<const ConvStep> pointwise, int32_t rows)
    : Step(StepKind::pair, "DEPTHWISE_CONV_2D+CONV_2D", depthwise->inputs, pointwise->output),
      depthwise_(std::move(depthwise)),
      pointwise_(std::move(pointwise)),
      rows_(rows),
      block_(*pointwise_, rows),
      last_(*pointwise_, (pointwise_->geometry.out_h - 1) % rows + 1),
      kernel_(std::string(depthwise_->kernel()) + "+" + pointwise_->kernel()) {
  node = pointwise_->node;
}

int64_t PairStep::tiles() const {
  const ConvGeometry& g = pointwise_->geometry;
  return int64_t{g.batch} * ((g.out_h + rows_ - 1) / rows_);
}

size_t PairStep::between_bytes() const {
  const ConvGeometry& g = pointwise_->geometry;
  return align_up(static_cast<size_t>(rows_) * static_cast<size_t>(g.in_w) *
                  static_cast<size_t>(g.in_c));
}

size_t PairStep::scratch_bytes() const {
  return between_bytes() + std::max({depthwise_->scratch_bytes(),
                                     conv_scratch_bytes(*pointwise_->weights, block_.geometry),
                                     conv_scratch_bytes(*pointwise_->weights, last_.geometry)});
}

void PairStep::run(void* const* data, int64_t begin, int64_t end, void* scratch) const {
  const ConvGeometry& g = pointwise_->geometry;
  const int32_t blocks = (g.out_h + rows_ - 1) / rows_;
  int8_t* between = static_cast<int8_t*>(scratch);
  void* rest = between + between_bytes();
  const int8_t* input = static_cast<const int8_t*>(data[inputs[0]]);
  int8_t* out = static_cast<int8_t*>(data[output]);
  for (int64_t tile = begin; tile < end; ++tile) {
    const int32_t batch = static_cast<int32_t>(tile / blocks);
    const int32_t first = static_cast<int32_t>(tile % blocks) * rows_;
    const int32_t count = std::min(rows_, g.out_h - first);
    const Block& block = count == rows_ ? block_ : last_;
    depthwise_run_rows(depthwise_->params, input, between, batch, first, first + count, rest);
    const int64_t at = (int64_t{batch} * g.out_h + first) * g.out_w * g.out_c;
    conv_run(*pointwise_->weights, block.geometry, block.layout, between, out + at, 0, block.tiles,
             rest);
  }
}

}  // namespace int8x
