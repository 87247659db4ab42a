#include "delegate/ops/plan_builder.h"

#include <algorithm>
#include <cstdlib>

#include "delegate/tflite/node_view.h"

namespace int8x {
namespace {

bool resize(TfLiteContext* context, TfLiteTensor* tensor, const Shape& shape) {
  if (context->ResizeTensor == nullptr || shape.elements() < 1) return false;
  const size_t count = static_cast<size_t>(shape.rank);
  auto* dims = static_cast<TfLiteIntArray*>(std::malloc(sizeof(int) * (1 + count)));
  if (dims == nullptr) return false;
  dims->size = shape.rank;
  std::copy_n(shape.dims, count, dims->data);
  return context->ResizeTensor(context, tensor, dims) == kTfLiteOk;  // which takes the array
}

}  // namespace

PlanBuilder::PlanBuilder(TfLiteContext* context, const std::vector<int>& outputs, Plan* plan)
    : context_(context), outputs_(outputs), plan_(plan) {
  by_tensor_.assign(context->tensors_size, -1);
}

ValueId PlanBuilder::make(int tensor, Storage storage) {
  ValueId& id = by_tensor_[static_cast<size_t>(tensor)];
  if (id >= 0) return id;
  const TfLiteTensor& t = context_->tensors[tensor];
  Value value;
  value.tensor = tensor;
  value.storage = storage;
  if (!element_type(t.type, &value.type) || !read_shape(t, &value.shape)) return -1;
  if (storage == Storage::input && t.allocation_type == kTfLiteMmapRo) {
    value.constant = constant_data(t);
    if (value.constant == nullptr) return -1;
    value.storage = Storage::constant;
  }
  id = static_cast<ValueId>(plan_->values.size());
  plan_->values.push_back(value);
  return id;
}

ValueId PlanBuilder::input(int tensor) { return make(tensor, Storage::input); }

ValueId PlanBuilder::output(int tensor, const Shape& shape) {
  TfLiteTensor& t = context_->tensors[tensor];
  Shape now;
  if (!read_shape(t, &now) || now != shape) {
    if (by_tensor_[static_cast<size_t>(tensor)] >= 0 || !resize(context_, &t, shape)) return -1;
  }
  const bool external = std::find(outputs_.begin(), outputs_.end(), tensor) != outputs_.end();
  return make(tensor, external ? Storage::output : Storage::arena);
}

ValueId PlanBuilder::temporary(ElementType type, const Shape& shape) {
  Value value;
  value.type = type;
  value.shape = shape;
  plan_->values.push_back(value);
  return static_cast<ValueId>(plan_->values.size()) - 1;
}

void PlanBuilder::add(std::unique_ptr<Step> step) {
  step->node = node_;
  plan_->steps.push_back(std::move(step));
}

}  // namespace int8x
