#include <algorithm>
#include <cstring>

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

// Output rows of a block; 0 where two steps are as good. On one thread they always are: what lies
// between is written and read from a near cache either way. On more, each step by itself would read
// what other threads wrote. Not where a pair gives threads unlike shares, or each of them more
// weights to read than it is spared.
int32_t rows_of(int64_t cost, const Shape& between, int64_t weights, int threads) {
  const int64_t sharers = std::min<int64_t>(threads, cost / kLeastShare);
  if (sharers < 2) return 0;
  if (weights > std::max(between.elements(), kNearWeights)) return 0;
  const int64_t batch = between.dims[0], height = between.dims[1];
  const int64_t wanted =
      std::max<int64_t>(1, std::min<int64_t>(cost / sharers / kBlock, 4)) * sharers;
  const int64_t blocks = std::max<int64_t>(1, wanted / batch);  // of one image
  const int64_t rows = (height + blocks - 1) / blocks;
  const int64_t share = (rows * blocks * batch + sharers - 1) / sharers;
  // 1/16 more than an even share at most.
  return 16 * share * sharers > 17 * batch * height ? 0 : static_cast<int32_t>(rows);
}

// Output rows of a block of `first` and `second`; 0 where they stay two steps. `readers` counts, by
// value, who reads it.
int32_t rows_of(const Plan& plan, const Step& first, const Step& second,
                const std::vector<int>& readers, int threads) {
  if (first.kind != StepKind::depthwise) return 0;
  if (std::strcmp(second.op, "CONV_2D") != 0) return 0;
  const ValueId between = plan.root(first.output);
  const Shape& shape = plan.values[first.output].shape;
  if (plan.root(second.inputs[0]) != between || readers[static_cast<size_t>(between)] != 1 ||
      plan.values[between].storage != Storage::arena || shape.rank != 4 ||
      plan.values[second.inputs[0]].shape != shape || second.for_rows(1) == nullptr) {
    return 0;
  }
  const Shape& out = plan.values[second.output].shape;
  const int64_t weights = int64_t{shape.dims[3]} * out.dims[3];
  return rows_of(first.cost() + second.cost(), shape, weights, threads);
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
    const int32_t rows = kept.empty() ? 0 : rows_of(*plan, *kept.back(), *step, readers, threads);
    if (rows == 0) {
      kept.push_back(std::move(step));
      continue;
    }
    std::unique_ptr<const DepthwiseStep> depthwise(
        static_cast<const DepthwiseStep*>(kept.back().release()));
    const int32_t between_c = plan->values[depthwise->output].shape.dims[3];
    const int32_t out_c = plan->values[step->output].shape.dims[3];
    kept.back() = std::make_unique<PairStep>(std::move(depthwise), *step, rows, between_c, out_c);
  }
  plan->steps = std::move(kept);
}

}  // namespace int8x
