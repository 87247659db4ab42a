// Multiply-accumulates of a node, whatever its types and whether or not the delegate takes it.

#ifndef INT8X_OPS_MACS_H_
#define INT8X_OPS_MACS_H_

#include "delegate/tflite/node_view.h"

namespace int8x {

// 0 for operators without a matrix product and for nodes whose shapes cannot be read.
int64_t node_macs(const NodeView& node);

}  // namespace int8x

#endif  // INT8X_OPS_MACS_H_
