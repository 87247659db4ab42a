// Which tensors a graph writes more than once, or reads before it writes them. The converters write
// none such; a damaged file can hold one, and plans share memory on the ground that a value stands
// once it is made.

#ifndef INT8X_TFLITE_ASSIGNMENTS_H_
#define INT8X_TFLITE_ASSIGNMENTS_H_

#include <cstdint>
#include <vector>

#include "delegate/tflite/node_view.h"

namespace int8x {

class Assignments {
 public:
  // Of nodes in the order in which they run, whose indices are below `tensors`.
  Assignments(const std::vector<NodeView>& nodes, size_t tensors);

  // Why a node cannot be taken for what it reads and writes; nullptr when nothing is amiss.
  Reason refuse(const NodeView& node) const;

 private:
  struct Uses {
    int32_t writers = 0;
    bool read_before = false;  // its last writer runs after a reader, or is one
  };
  std::vector<Uses> uses_;  // of each tensor
};

}  // namespace int8x

#endif  // INT8X_TFLITE_ASSIGNMENTS_H_
