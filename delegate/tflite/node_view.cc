#include "delegate/tflite/node_view.h"

#include <cmath>
#include <cstring>

namespace int8x {
namespace {

bool plausible(const float* scales, int count, int channels, float per_tensor) {
  if (count != 1 && count != channels) return false;
  for (int i = 0; i < count; ++i) {
    if (!std::isfinite(scales[i]) || !(scales[i] > 0)) return false;
  }
  return count != 1 || scales[0] == per_tensor;
}

}  // namespace

bool Quantization::read(const TfLiteTensor& tensor, Quantization* out) {
  if (tensor.quantization.type != kTfLiteAffineQuantization) return false;
  const auto* affine = static_cast<const TfLiteAffineQuantization*>(tensor.quantization.params);
  if (affine == nullptr || affine->scale == nullptr || affine->zero_point == nullptr) return false;
  const int axis = affine->quantized_dimension;
  int channels = 1;
  if (tensor.dims != nullptr && axis >= 0 && axis < tensor.dims->size) {
    channels = tensor.dims->data[axis];
  }
  Quantization q;
  q.scales_ = affine->scale->data;
  q.count_ = affine->scale->size;
  if (!plausible(q.scales_, q.count_, channels, tensor.params.scale)) return false;
  q.zero_points_ = affine->zero_point->data;
  q.zero_count_ = affine->zero_point->size;
  if (q.zero_count_ != 1 && q.zero_count_ != q.count_) return false;
  q.axis_ = axis;
  *out = q;
  return true;
}

bool Quantization::zero_points_are_zero() const {
  for (int i = 0; i < zero_count_; ++i) {
    if (zero_points_[i] != 0) return false;
  }
  return true;
}

bool Quantization::same_as(const Quantization& other) const {
  return count_ == 1 && other.count_ == 1 && scale() == other.scale() &&
         zero_point() == other.zero_point();
}

bool element_type(TfLiteType type, ElementType* out) {
  switch (type) {
    case kTfLiteInt8:
      *out = ElementType::s8;
      return true;
    case kTfLiteUInt8:
      *out = ElementType::u8;
      return true;
    case kTfLiteInt16:
      *out = ElementType::s16;
      return true;
    case kTfLiteInt32:
      *out = ElementType::s32;
      return true;
    case kTfLiteInt64:
      *out = ElementType::s64;
      return true;
    case kTfLiteFloat32:
      *out = ElementType::f32;
      return true;
    case kTfLiteBool:
      *out = ElementType::b8;
      return true;
    default:
      return false;
  }
}

bool read_shape(const TfLiteTensor& tensor, Shape* out) {
  if (tensor.dims == nullptr || tensor.dims->size < 0 || tensor.dims->size > Shape::kMaxRank) {
    return false;
  }
  Shape shape;
  shape.rank = tensor.dims->size;
  int64_t elements = 1;
  for (int i = 0; i < shape.rank; ++i) {
    shape.dims[i] = tensor.dims->data[i];
    if (shape.dims[i] < 1) return false;
    elements *= shape.dims[i];
    if (elements > Shape::kMaxElements) return false;
  }
  *out = shape;
  return true;
}

const void* constant_data(const TfLiteTensor& tensor) {
  ElementType type;
  Shape shape;
  if (tensor.allocation_type != kTfLiteMmapRo || tensor.data == nullptr) return nullptr;
  if (!element_type(tensor.type, &type) || !read_shape(tensor, &shape)) return nullptr;
  if (tensor.sparsity != nullptr) return nullptr;
  const size_t bytes = static_cast<size_t>(shape.elements()) * element_size(type);
  return bytes == tensor.bytes ? tensor.data : nullptr;
}

bool constant_integers(const TfLiteTensor& tensor, std::vector<int32_t>* out) {
  const void* data = constant_data(tensor);
  if (data == nullptr || tensor.dims->size > 2) return false;
  Shape shape;
  if (!read_shape(tensor, &shape)) return false;
  out->resize(static_cast<size_t>(shape.elements()));
  if (tensor.type == kTfLiteInt32) {
    std::memcpy(out->data(), data, out->size() * sizeof(int32_t));
    return true;
  }
  if (tensor.type != kTfLiteInt64) return false;
  for (size_t i = 0; i < out->size(); ++i) {
    int64_t value;
    std::memcpy(&value, static_cast<const char*>(data) + i * sizeof value, sizeof value);
    if (value < INT32_MIN || value > INT32_MAX) return false;
    (*out)[i] = static_cast<int32_t>(value);
  }
  return true;
}

bool NodeView::open(TfLiteContext* context, int index, NodeView* out) {
  TfLiteNode* node = nullptr;
  TfLiteRegistration* registration = nullptr;
  if (context->GetNodeAndRegistration(context, index, &node, &registration) != kTfLiteOk) {
    return false;
  }
  if (node == nullptr || registration == nullptr || node->inputs == nullptr ||
      node->outputs == nullptr) {
    return false;
  }
  const auto in_range = [context](int tensor) {
    return tensor >= 0 && static_cast<size_t>(tensor) < context->tensors_size;
  };
  for (int i = 0; i < node->inputs->size; ++i) {
    const int tensor = node->inputs->data[i];
    if (tensor != -1 && !in_range(tensor)) return false;
  }
  for (int i = 0; i < node->outputs->size; ++i) {
    if (!in_range(node->outputs->data[i])) return false;
  }
  out->context_ = context;
  out->inputs_ = node->inputs;
  out->outputs_ = node->outputs;
  out->options_ = node->builtin_data;
  out->custom_name_ = registration->custom_name;
  out->index_ = index;
  out->builtin_ = registration->builtin_code;
  out->version_ = registration->version;
  return true;
}

}  // namespace int8x
