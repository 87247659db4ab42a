#include "delegate/plan/passes.h"

#include <algorithm>

#include "delegate/base/memory.h"

namespace int8x {
namespace {

// What an arena may hold: half the address space on 32 bits, plenty on 64.
constexpr uint64_t kMaxArena = SIZE_MAX / 2;

bool alias_view(Plan* plan, const Step& view) {
  std::vector<Value>& values = plan->values;
  const ValueId from = plan->root(view.inputs[0]);
  const ValueId to = view.output;
  if (values[to].storage == Storage::arena) {
    values[to].alias = from;
    return true;
  }
  if (values[from].storage == Storage::arena) {
    values[from].alias = to;
    return true;
  }
  return false;
}

void extend(Value* value, int step) {
  if (value->first_step < 0) value->first_step = step;
  value->last_step = step;
}

}  // namespace

void alias_views(Plan* plan) {
  std::vector<std::unique_ptr<Step>>& steps = plan->steps;
  const auto gone = [plan](const std::unique_ptr<Step>& step) {
    return step->kind == StepKind::view && alias_view(plan, *step);
  };
  // Not remove_if: aliases must be made in the order of the list.
  std::vector<std::unique_ptr<Step>> kept;
  kept.reserve(steps.size());
  for (std::unique_ptr<Step>& step : steps) {
    if (!gone(step)) kept.push_back(std::move(step));
  }
  steps = std::move(kept);
}

void drop_unread(Plan* plan) {
  std::vector<int> readers(plan->values.size(), 0);
  for (const std::unique_ptr<Step>& step : plan->steps) {
    for (ValueId v : step->inputs) ++readers[static_cast<size_t>(plan->root(v))];
  }
  for (size_t i = plan->steps.size(); i-- > 0;) {
    std::unique_ptr<Step>& step = plan->steps[i];
    const ValueId to = plan->root(step->output);
    if (readers[static_cast<size_t>(to)] > 0 || plan->values[to].storage != Storage::arena)
      continue;
    for (ValueId v : step->inputs) --readers[static_cast<size_t>(plan->root(v))];
    step.reset();
  }
  std::vector<std::unique_ptr<Step>> kept;
  for (std::unique_ptr<Step>& step : plan->steps) {
    if (step != nullptr) kept.push_back(std::move(step));
  }
  plan->steps = std::move(kept);
}

void find_lifetimes(Plan* plan) {
  for (Value& value : plan->values) value.first_step = value.last_step = -1;
  for (size_t i = 0; i < plan->steps.size(); ++i) {
    const Step& step = *plan->steps[i];
    for (ValueId v : step.inputs) extend(&plan->values[plan->root(v)], static_cast<int>(i));
    extend(&plan->values[plan->root(step.output)], static_cast<int>(i));
  }
}

void place_in_arena(Plan* plan, int threads) {
  std::vector<Value>& values = plan->values;
  std::vector<ValueId> order;
  for (size_t v = 0; v < values.size(); ++v) {
    const Value& value = values[v];
    if (value.storage == Storage::arena && value.alias < 0 && value.first_step >= 0) {
      order.push_back(static_cast<ValueId>(v));
    }
  }
  // Ties by index: the layout of an arena must not depend on the sort.
  std::sort(order.begin(), order.end(), [&values](ValueId a, ValueId b) {
    const size_t left = values[a].bytes(), right = values[b].bytes();
    return left != right ? left > right : a < b;
  });
  size_t top = 0;
  std::vector<ValueId> placed;  // by offset
  for (ValueId v : order) {
    Value& value = values[v];
    const size_t size = align_up(value.bytes());
    size_t offset = 0;
    for (ValueId other : placed) {
      const Value& o = values[other];
      if (o.last_step < value.first_step || value.last_step < o.first_step) continue;
      if (offset + size <= o.offset) break;
      offset = std::max(offset, o.offset + align_up(o.bytes()));
    }
    value.offset = offset;
    top = std::max(top, offset + size);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), v,
                                   [&values](ValueId a, ValueId b) {
                                     return values[a].offset < values[b].offset;
                                   }),
                  v);
  }
  size_t scratch = 0;
  for (const std::unique_ptr<Step>& step : plan->steps) {
    scratch = std::max(scratch, step->scratch_bytes());
  }
  plan->scratch_offset = top;
  plan->scratch_stride = align_up(scratch);
  plan->arena_bytes = top + plan->scratch_stride * static_cast<size_t>(threads);
}

bool finish(Plan* plan, int threads, arch::ArchSet archs) {
  uint64_t left = kMaxArena;
  const auto take = [&left](uint64_t bytes) {
    if (bytes > left - kAlignment) return false;
    left -= bytes + kAlignment;
    return left > kAlignment;
  };
  for (const Value& value : plan->values) {
    if (value.storage == Storage::arena && !take(value.bytes())) return false;
  }
  for (const std::unique_ptr<Step>& step : plan->steps) {
    for (int thread = 0; thread < threads; ++thread) {
      if (!take(step->scratch_bytes())) return false;
    }
  }
  alias_views(plan);
  fold_pads(plan);
  chain_tables(plan, archs);
  drop_unread(plan);
  pair_steps(plan, threads);
  find_lifetimes(plan);
  place_in_arena(plan, threads);
  return true;
}

}  // namespace int8x
