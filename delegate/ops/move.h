// Operators that move elements of one tensor: each says where the elements of an output come from,
// and shares how a node is refused and planned.

#ifndef INT8X_OPS_MOVE_H_
#define INT8X_OPS_MOVE_H_

#include <vector>

#include "delegate/kernels/copy/move.h"
#include "delegate/ops/operator.h"

namespace int8x {

// Where an output's elements lie in the input: see kernels/copy/move.h.
struct Move {
  Shape shape;  // of the output
  std::vector<MoveAxis> axes;
  int64_t base = 0;
};

// Fills `move` for output `output` of the node, given the shape of its data input.
using DescribeMove = Reason (*)(const NodeView& node, const Shape& in, int output, Move* move);

struct MoveCounts {
  int data;  // which input holds the elements
  int inputs;
  bool many_outputs;  // else one
};

Reason refuse_move(const NodeView& node, MoveCounts counts, DescribeMove describe);
Reason plan_move(const NodeView& node, int data, DescribeMove describe, PlanBuilder* builder);

template <DescribeMove kDescribe, int kData, int kInputs, bool kManyOutputs = false>
struct MoveOperator {
  static Reason refuse(const NodeView& node) {
    return refuse_move(node, {kData, kInputs, kManyOutputs}, kDescribe);
  }
  static Reason plan(const NodeView& node, const Packed&, const Resources&, PlanBuilder* builder) {
    return plan_move(node, kData, kDescribe, builder);
  }
  static constexpr Operator named(int builtin, const char* name, int max_version) {
    return {builtin, name, max_version, refuse, nullptr, plan};
  }
};

// Tensors of one type of 8 or 16 bits whose shapes can be read.
Reason check_types(const TfLiteTensor& input, const TfLiteTensor& output);

// The same, and of one quantization, or both without.
Reason check_moved(const TfLiteTensor& input, const TfLiteTensor& output);

// Bytes of an element of a tensor that check_moved() has passed.
int moved_bytes(const TfLiteTensor& tensor);

// The stride of each axis of a dense tensor.
void dense_strides(const Shape& shape, int64_t* strides);

// axis counted from the end when negative; false when there is none such.
bool normalize_axis(int rank, int32_t* axis);

}  // namespace int8x

#endif  // INT8X_OPS_MOVE_H_
