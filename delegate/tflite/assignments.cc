#include "delegate/tflite/assignments.h"

namespace int8x {

Assignments::Assignments(const std::vector<NodeView>& nodes, size_t tensors) : uses_(tensors) {
  std::vector<bool> read(tensors);
  for (const NodeView& node : nodes) {
    for (int i = 0; i < node.inputs(); ++i) {
      if (node.has_input(i)) read[static_cast<size_t>(node.input_index(i))] = true;
    }
    for (int i = 0; i < node.outputs(); ++i) {
      const size_t tensor = static_cast<size_t>(node.output_index(i));
      ++uses_[tensor].writers;
      if (read[tensor]) uses_[tensor].read_before = true;
    }
  }
}

Reason Assignments::refuse(const NodeView& node) const {
  for (int i = 0; i < node.inputs(); ++i) {
    if (!node.has_input(i)) continue;
    const Uses& uses = uses_[static_cast<size_t>(node.input_index(i))];
    if (uses.writers > 1 || uses.read_before) return "an input that does not stand once it is read";
  }
  for (int i = 0; i < node.outputs(); ++i) {
    const Uses& uses = uses_[static_cast<size_t>(node.output_index(i))];
    if (node.output(i).allocation_type == kTfLiteMmapRo) return "an output that is a constant";
    if (uses.writers > 1) return "an output that is written twice";
    if (uses.read_before) return "an output that is read before it is written";
  }
  return nullptr;
}

}  // namespace int8x
