#include <algorithm>

#include "delegate/plan/pair_step.h"
#include "delegate/plan/passes.h"

namespace int8x {
namespace {

// Weights that each thread may read beyond what the pair saves it: they stay in a first-level
// cache.
constexpr int64_t kNearWeights = 32 << 10;
// What a pair should take at least for each thread, in nanoseconds, and a block, so that others can
// take it when its thread is late.
constexpr int64_t kLeastShare = 750, kBlock = 30000;

const ConvStep* pointwise(const Step& step) {
  if (step.kind != StepKind::conv) return nullptr;
  const auto& conv = static_cast<const ConvStep&>(step);
  return conv.layout.source == ConvSource::in_place && conv.geometry.groups == 1 ? &conv : nullptr;
}

// Output rows of a block; 0 where two steps are as good. On one thread they always are: what lies
// between is written and read from a near cache either way. On more, each step by itself would read
// what other threads wrote. Not where a pair gives threads unlike shares, or each of them more
// weights to read than it is spared.
int32_t rows_of(const DepthwiseStep& first, const ConvStep& second, int threads) {
  const ConvGeometry& g = second.geometry;
  const int64_t cost = first.cost() + second.cost();
  const int64_t sharers = std::min<int64_t>(threads, cost / kLeastShare);
  if (sharers < 2) return 0;
  const int64_t between = int64_t{g.batch} * g.in_h * g.in_w * g.in_c;
  if (int64_t{g.in_c} * g.out_c > std::max(between, kNearWeights)) return 0;
  const int64_t wanted =
      std::max<int64_t>(1, std::min<int64_t>(cost / sharers / kBlock, 4)) * sharers;
  const int64_t blocks = std::max<int64_t>(1, wanted / g.batch);  // of one image
  const int64_t rows = (g.out_h + blocks - 1) / blocks;
  const int64_t share = (rows * blocks * g.batch + sharers - 1) / sharers;
  // 1/16 more than an even share at most.
  if (16 * share * sharers > 17 * int64_t{g.batch} * g.out_h) return 0;
  return static_cast<int32_t>(rows);
}

}  // namespace

void pair_steps(Plan* plan, int threads) {
  if (threads < 2) return;
  std::vector<int> readers(plan->values.size(), 0);
  for (const std::unique_ptr<Step>& step : plan->steps) {
    for (ValueId v : step->inputs) ++readers[static_cast<size_t>(plan->root(v))];
  }
  std::vector<std::unique_ptr<Step>> kept;
  for (std::unique_ptr<Step>& step : plan->steps) {
    const ConvStep* second = pointwise(*step);
    if (second != nullptr && !kept.empty() && kept.back()->kind == StepKind::depthwise) {
      const ValueId between = plan->root(second->inputs[0]);
      const auto& first = static_cast<const DepthwiseStep&>(*kept.back());
      if (plan->root(first.output) == between && readers[static_cast<size_t>(between)] == 1 &&
          plan->values[between].storage == Storage::arena &&
          plan->values[second->inputs[0]].shape == plan->values[first.output].shape) {
        const int32_t rows = rows_of(first, *second, threads);
        if (rows > 0) {
          std::unique_ptr<const DepthwiseStep> depthwise(
              static_cast<const DepthwiseStep*>(kept.back().release()));
          std::unique_ptr<const ConvStep> conv(static_cast<const ConvStep*>(step.release()));
          kept.back() = std::make_unique<PairStep>(std::move(depthwise), std::move(conv), rows);
          continue;
        }
      }
    }
    kept.push_back(std::move(step));
  }
  plan->steps = std::move(kept);
}

}  // namespace int8x
