// What the delegate knows of one TFLite operator: when it may take a node, what it packs once and
// which steps it plans. One file per operator; ops.inc lists them.

#ifndef INT8X_OPS_OPERATOR_H_
#define INT8X_OPS_OPERATOR_H_

#include <memory>

#include "delegate/base/arch.h"
#include "delegate/kernels/sparse/choice.h"
#include "delegate/ops/plan_builder.h"
#include "delegate/ops/weight_cache.h"
#include "delegate/tflite/node_view.h"

namespace int8x {

struct Resources {
  arch::ArchSet archs;
  WeightCache* weights;
  SparseUse sparse;
};

struct Operator {
  int builtin;
  const char* name;
  int max_version;  // of the operator; later versions may mean something new

  // Whether this node can be taken, whatever its inputs' height, width and batch become.
  Reason (*refuse)(const NodeView& node);

  // Packs what no resize changes. nullptr when there is nothing to pack. The result is empty when
  // there is no memory.
  Packed (*pack)(const NodeView& node, const Resources& resources);

  // Appends the steps for the shapes that the tensors have now.
  Reason (*plan)(const NodeView& node, const Packed& packed, const Resources& resources,
                 PlanBuilder* plan);

  // The same operator on int16 activations; nullptr when there is none.
  const Operator* wide = nullptr;
};

// nullptr when the delegate has no such operator.
const Operator* find_operator(int builtin);

// The operator for a node: `wide` where that exists and the node's first input is int16.
const Operator* operator_of(const NodeView& node);

// Whether `name`, `length` long, is the name of an operator that the delegate has.
bool is_operator_name(const char* name, size_t length);

// "CONV_2D, DEPTHWISE_CONV_2D, ...": for messages.
const char* operator_names();

}  // namespace int8x

#endif  // INT8X_OPS_OPERATOR_H_
