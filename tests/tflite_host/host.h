// A small stand-in for the TensorFlow Lite runtime, for the delegate's C++ tests: contexts,
// tensors, nodes, partitions, resize and any hostile value a test likes to set. It follows what the
// real runtimes were seen to do: tensors inside a partition get no memory, prepare runs more than
// once, shapes are the test's to propagate.

#ifndef INT8X_TESTS_TFLITE_HOST_HOST_H_
#define INT8X_TESTS_TFLITE_HOST_HOST_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "delegate/tflite/c_abi.h"

namespace int8x::host {

struct TensorSpec {
  TfLiteType type = kTfLiteInt8;
  std::vector<int> dims;
  std::vector<float> scales;     // none: not quantized
  std::vector<int> zero_points;  // one for each scale; none: zeros
  int axis = 0;
  std::vector<uint8_t> constant;  // not empty: constant data
};

// Bytes of a vector, as constant data.
template <typename T>
std::vector<uint8_t> bytes_of(const std::vector<T>& values) {
  const uint8_t* begin = reinterpret_cast<const uint8_t*>(values.data());
  return std::vector<uint8_t>(begin, begin + values.size() * sizeof(T));
}

class Host {
 public:
  Host();
  ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  int add_tensor(const TensorSpec& spec);
  // `params` is copied as the node's builtin options; `invoke` runs the node when no delegate does.
  template <typename Params>
  int add_node(int builtin, int version, std::vector<int> inputs, std::vector<int> outputs,
               const Params& params, std::function<void(Host&)> invoke = nullptr) {
    const uint8_t* bytes = reinterpret_cast<const uint8_t*>(&params);
    return add_node_bytes(builtin, version, std::move(inputs), std::move(outputs),
                          std::vector<uint8_t>(bytes, bytes + sizeof params), std::move(invoke));
  }
  int add_node(int builtin, int version, std::vector<int> inputs, std::vector<int> outputs) {
    return add_node_bytes(builtin, version, std::move(inputs), std::move(outputs), {}, nullptr);
  }
  int add_node_bytes(int builtin, int version, std::vector<int> inputs, std::vector<int> outputs,
                     std::vector<uint8_t> params, std::function<void(Host&)> invoke);
  // Graph outputs: they get memory also when a partition makes and reads them.
  void set_outputs(std::vector<int> tensors) { outputs_ = std::move(tensors); }

  // Offers the graph to a delegate, as ModifyGraphWithDelegate does.
  TfLiteStatus apply(TfLiteDelegate* delegate);
  // Gives memory to every tensor outside partitions, fresh and filled with noise, and prepares the
  // delegate's kernels `times` times.
  TfLiteStatus allocate(int times = 1);
  TfLiteStatus invoke();

  // New dims for one tensor; the test calls it for each tensor that changes, then allocate().
  void resize(int tensor, const std::vector<int>& dims);
  // Whether a kernel that wants a tensor of another shape is told no.
  void refuse_resizes(bool refuse) { refuses_resizes_ = refuse; }

  TfLiteTensor& tensor(int index) { return tensors_[static_cast<size_t>(index)]; }
  TfLiteNode* node(int index);
  TfLiteRegistration* registration(int index);
  TfLiteContext& context() { return context_; }
  void set(int tensor, const std::vector<int8_t>& values);
  std::vector<int8_t> get(int tensor) const;
  int partitions() const { return static_cast<int>(kernels_.size()); }
  const std::vector<int>& taken() const { return taken_; }
  const std::string& errors() const { return errors_; }

 private:
  struct Affine;
  struct Node;
  struct Kernel;

  bool inside_partition(int tensor) const;
  TfLiteStatus resize_from_kernel(TfLiteTensor* tensor, TfLiteIntArray* dims);
  TfLiteStatus replace(const TfLiteRegistration& registration, const TfLiteIntArray* nodes,
                       TfLiteDelegate* delegate);
  TfLiteStatus make_kernel(const TfLiteRegistration& registration, std::vector<int> nodes,
                           TfLiteDelegate* delegate);

  static Host* of(TfLiteContext* context) { return static_cast<Host*>(context->impl_); }
  static void report(TfLiteContext* context, const char* format, ...);

  TfLiteContext context_ = {};
  std::vector<TfLiteTensor> tensors_;
  std::vector<std::unique_ptr<Affine>> affines_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<std::unique_ptr<Kernel>> kernels_;
  std::vector<std::unique_ptr<std::vector<uint8_t>>> blobs_;
  std::vector<int> outputs_, taken_;
  std::vector<int> order_;  // execution: node index, or -1 - kernel index
  std::string errors_;
  TfLiteIntArray* plan_ = nullptr;
  bool claiming_ = false;  // nodes can be asked for
  bool refuses_resizes_ = false;
};

}  // namespace int8x::host

#endif  // INT8X_TESTS_TFLITE_HOST_HOST_H_
