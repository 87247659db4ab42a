#include <array>
#include <cstring>

#include "delegate/plan/cost.h"
#include "delegate/plan/passes.h"
#include "delegate/plan/steps.h"

namespace int8x {
namespace {

using Table = std::array<int8_t, kLutSize>;

// A value whose elements are table[those of root] at the same place.
struct Source {
  ValueId root = -1;  // itself where nothing is known
  Table table = {};
};

Table identity() {
  Table table;
  for (int i = 0; i < kLutSize; ++i) table[static_cast<size_t>(i)] = static_cast<int8_t>(i);
  return table;
}

// What `step` makes of its inputs' common root; false when they have none, or when elements are not
// computed one by one.
bool compose(const Plan& plan, const Step& step, const std::vector<Source>& sources, Source* out) {
  if (element_size(plan.values[step.output].type) != 1) return false;
  const int8_t* inputs[2];
  if (step.inputs.empty() || step.inputs.size() > 2) return false;
  for (size_t i = 0; i < step.inputs.size(); ++i) {
    const Source& source = sources[static_cast<size_t>(plan.root(step.inputs[i]))];
    if (i > 0 && source.root != out->root) return false;
    if (element_size(plan.values[source.root].type) != 1) return false;
    out->root = source.root;
    inputs[i] = source.table.data();
  }
  return step.of_each_byte(inputs, out->table.data());
}

}  // namespace

void chain_tables(Plan* plan, arch::ArchSet archs) {
  std::vector<Source> sources(plan->values.size());
  for (size_t v = 0; v < sources.size(); ++v) sources[v] = {static_cast<ValueId>(v), identity()};
  for (std::unique_ptr<Step>& step : plan->steps) {
    Source made;
    if (!compose(*plan, *step, sources, &made)) continue;
    const bool from_root = plan->root(step->inputs[0]) == made.root;
    if (step->kind != StepKind::lut || !from_root) {
      uint8_t table[kLutSize];
      std::memcpy(table, made.table.data(), kLutSize);
      LutParams params;
      const int64_t count = plan->values[step->output].shape.elements();
      if (!make_lut_params(table, count, archs, &params)) continue;
      auto joined =
          std::make_unique<LutStep>(step->op, std::vector<ValueId>{made.root}, step->output, params,
                                    Work{0, table_nanoseconds(count, archs)});
      joined->node = step->node;
      step = std::move(joined);
    }
    sources[static_cast<size_t>(plan->root(step->output))] = made;
  }
}

}  // namespace int8x
