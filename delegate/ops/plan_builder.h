// Turns TFLite's tensors into values of a plan.

#ifndef INT8X_OPS_PLAN_BUILDER_H_
#define INT8X_OPS_PLAN_BUILDER_H_

#include <memory>
#include <vector>

#include "delegate/plan/plan.h"
#include "delegate/tflite/c_abi.h"

namespace int8x {

class PlanBuilder {
 public:
  // `outputs` are the tensors that must be written to the runtime's memory. Any other tensor that a
  // step reads before one has written it is an input of the partition or a constant.
  PlanBuilder(TfLiteContext* context, const std::vector<int>& outputs, Plan* plan);

  // The value of a tensor, made at first sight with the shape and type that the tensor has now;
  // -1 when those cannot be read.
  ValueId input(int tensor);

  // The same for a tensor that a step writes in this shape. Behind tensors whose shape is known
  // only when running, runtimes leave those of a partition as they were: they are changed here.
  ValueId output(int tensor, const Shape& shape);

  // A value between two steps of one node.
  ValueId temporary(ElementType type, const Shape& shape);

  const Shape& shape(ValueId value) const { return plan_->values[value].shape; }

  void set_node(int node) { node_ = node; }
  void add(std::unique_ptr<Step> step);

 private:
  ValueId make(int tensor, Storage storage);

  TfLiteContext* context_;
  const std::vector<int>& outputs_;
  Plan* plan_;
  std::vector<ValueId> by_tensor_;
  int node_ = -1;
};

}  // namespace int8x

#endif  // INT8X_OPS_PLAN_BUILDER_H_
