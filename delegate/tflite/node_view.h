// Checked reading of TFLite's nodes and tensors. Nothing in a model is trusted: what does not hold
// together is refused, with a reason, and stays with TFLite.

#ifndef INT8X_TFLITE_NODE_VIEW_H_
#define INT8X_TFLITE_NODE_VIEW_H_

#include <vector>

#include "delegate/base/shape.h"
#include "delegate/tflite/c_abi.h"

namespace int8x {

// Why a node is not taken; nullptr when it is. Static text.
using Reason = const char*;

// real[c] = (q - zero_point(c)) * scale(c)
class Quantization {
 public:
  // False when the tensor has no affine quantization or one that does not hold together.
  static bool read(const TfLiteTensor& tensor, Quantization* out);

  int channels() const { return count_; }  // 1 is per tensor
  int axis() const { return axis_; }
  float scale(int channel = 0) const { return scales_[count_ == 1 ? 0 : channel]; }
  int32_t zero_point(int channel = 0) const { return zero_points_[zero_count_ == 1 ? 0 : channel]; }
  bool zero_points_are_zero() const;
  // Same scale and zero point, per tensor both.
  bool same_as(const Quantization& other) const;

 private:
  const float* scales_ = nullptr;
  const int* zero_points_ = nullptr;
  int count_ = 0, zero_count_ = 0, axis_ = 0;
};

bool element_type(TfLiteType type, ElementType* out);

// False for a missing or too deep shape, a dimension below 1 or more elements than Shape allows.
bool read_shape(const TfLiteTensor& tensor, Shape* out);

// The data of a constant tensor whose bytes match type and shape, else nullptr.
const void* constant_data(const TfLiteTensor& tensor);

// The values of a constant s32 (or, narrowed, s64) tensor of rank <= 2. False when it is not that.
bool constant_integers(const TfLiteTensor& tensor, std::vector<int32_t>* out);

// A node as it was when opened. Runtimes answer questions about nodes only while a delegate claims
// a graph and move their nodes afterwards, so the view keeps what it needs; the arrays and options
// that the node points to stand still as long as the graph lives.
class NodeView {
 public:
  // False when the node or one of its tensor indices is out of range.
  static bool open(TfLiteContext* context, int index, NodeView* out);

  int index() const { return index_; }
  int builtin() const { return builtin_; }
  int version() const { return version_; }
  const char* custom_name() const { return custom_name_; }
  int inputs() const { return inputs_->size; }
  int outputs() const { return outputs_->size; }
  int input_index(int i) const { return inputs_->data[i]; }
  int output_index(int i) const { return outputs_->data[i]; }
  bool has_input(int i) const { return i < inputs() && input_index(i) >= 0; }
  const TfLiteTensor& input(int i) const { return context_->tensors[input_index(i)]; }
  const TfLiteTensor& output(int i) const { return context_->tensors[output_index(i)]; }

  // The operator's builtin options; nullptr when the model has none.
  template <typename Params>
  const Params* params() const {
    return static_cast<const Params*>(options_);
  }

  TfLiteContext* context() const { return context_; }

 private:
  TfLiteContext* context_ = nullptr;
  const TfLiteIntArray* inputs_ = nullptr;
  const TfLiteIntArray* outputs_ = nullptr;
  const void* options_ = nullptr;
  const char* custom_name_ = nullptr;
  int index_ = 0, builtin_ = 0, version_ = 0;
};

}  // namespace int8x

#endif  // INT8X_TFLITE_NODE_VIEW_H_
