#include "delegate/plan/passes.h"
#include "delegate/plan/steps.h"

namespace int8x {

void fold_pads(Plan* plan) {
  std::vector<const PadStep*> pads(plan->values.size(), nullptr);  // by what they write
  for (std::unique_ptr<Step>& step : plan->steps) {
    if (step->inputs.size() == 1) {
      const PadStep* pad = pads[static_cast<size_t>(plan->root(step->inputs[0]))];
      if (pad != nullptr) {
        std::unique_ptr<Step> folded = step->without_pad(pad->inputs[0], pad->frame);
        if (folded != nullptr) {
          folded->node = step->node;
          step = std::move(folded);
        }
      }
    }
    if (step->kind != StepKind::pad) continue;
    const auto& pad = static_cast<const PadStep&>(*step);
    if (pad.frame.batch > 0) pads[static_cast<size_t>(plan->root(pad.output))] = &pad;
  }
}

}  // namespace int8x
