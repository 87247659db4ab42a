// What RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR share.

#ifndef INT8X_OPS_RESIZE_H_
#define INT8X_OPS_RESIZE_H_

#include "delegate/ops/operator.h"

namespace int8x {

// The height and width that a node resizes its NHWC input to. Each gets a table of positions: no
// image has a side of a million, and a hostile model would be given gigabytes.
Reason read_resized(const NodeView& node, const Shape& in, int32_t* height, int32_t* width);

}  // namespace int8x

#endif  // INT8X_OPS_RESIZE_H_
