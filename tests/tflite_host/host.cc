#include "tests/tflite_host/host.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>

namespace int8x::host {
namespace {

// A small device's memory, for a tensor that a damaged constant asks for.
constexpr size_t kMostResized = size_t{1} << 26;

// Exactly sized, so that a sanitizer sees every read past the end.
TfLiteIntArray* new_array(const std::vector<int>& values) {
  auto* array =
      static_cast<TfLiteIntArray*>(std::malloc(sizeof(int) + values.size() * sizeof(int)));
  array->size = static_cast<int>(values.size());
  if (!values.empty()) std::memcpy(array->data, values.data(), values.size() * sizeof(int));
  return array;
}

TfLiteFloatArray* new_array(const std::vector<float>& values) {
  auto* array =
      static_cast<TfLiteFloatArray*>(std::malloc(sizeof(int) + values.size() * sizeof(float)));
  array->size = static_cast<int>(values.size());
  if (!values.empty()) std::memcpy(array->data, values.data(), values.size() * sizeof(float));
  return array;
}

size_t size_of(TfLiteType type) {
  switch (type) {
    case kTfLiteInt8:
    case kTfLiteUInt8:
    case kTfLiteBool:
      return 1;
    case kTfLiteInt16:
      return 2;
    case kTfLiteInt64:
      return 8;
    default:
      return 4;
  }
}

size_t bytes_of_tensor(const TfLiteTensor& tensor) {
  size_t bytes = size_of(tensor.type);
  for (int i = 0; i < tensor.dims->size; ++i) bytes *= static_cast<size_t>(tensor.dims->data[i]);
  return bytes;
}

}  // namespace

// Freed from here, whatever a test makes of the tensor's own pointers.
struct Host::Affine {
  std::unique_ptr<TfLiteFloatArray, decltype(&std::free)> scales{nullptr, std::free};
  std::unique_ptr<TfLiteIntArray, decltype(&std::free)> zero_points{nullptr, std::free};
  TfLiteAffineQuantization told = {};
};

struct Host::Node {
  TfLiteNode node = {};
  TfLiteRegistration registration = {};
  std::vector<uint8_t> params;
  std::function<void(Host&)> invoke;
  bool replaced = false;
};

struct Host::Kernel {
  TfLiteRegistration registration = {};
  TfLiteNode node = {};
  TfLiteDelegateParams params = {};
  std::set<int> inside;
};

Host::Host() {
  context_.impl_ = this;
  context_.recommended_num_threads = 1;
  context_.ReportError = report;
  context_.GetExecutionPlan = [](TfLiteContext* context, TfLiteIntArray** plan) {
    Host* host = of(context);
    std::vector<int> indices(host->nodes_.size());
    for (size_t i = 0; i < indices.size(); ++i) indices[i] = static_cast<int>(i);
    std::free(host->plan_);
    host->plan_ = new_array(indices);
    *plan = host->plan_;
    return kTfLiteOk;
  };
  context_.GetNodeAndRegistration = [](TfLiteContext* context, int index, TfLiteNode** node,
                                       TfLiteRegistration** registration) {
    Host* host = of(context);
    if (!host->claiming_) {
      report(context, "The function is forbidden if not calling in delegate.");
      return kTfLiteError;
    }
    if (index < 0 || static_cast<size_t>(index) >= host->nodes_.size()) return kTfLiteError;
    *node = &host->nodes_[static_cast<size_t>(index)]->node;
    *registration = &host->nodes_[static_cast<size_t>(index)]->registration;
    return kTfLiteOk;
  };
  context_.ResizeTensor = [](TfLiteContext* context, TfLiteTensor* tensor, TfLiteIntArray* dims) {
    return of(context)->resize_from_kernel(tensor, dims);
  };
  context_.ReplaceNodeSubsetsWithDelegateKernels =
      [](TfLiteContext* context, TfLiteRegistration registration, const TfLiteIntArray* nodes,
         TfLiteDelegate* delegate) { return of(context)->replace(registration, nodes, delegate); };
}

Host::~Host() {
  for (const auto& kernel : kernels_) {
    kernel->registration.free(&context_, kernel->node.user_data);
    std::free(kernel->node.inputs);
    std::free(kernel->node.outputs);
    std::free(kernel->params.nodes_to_replace);
    std::free(kernel->params.input_tensors);
    std::free(kernel->params.output_tensors);
  }
  for (const auto& node : nodes_) {
    std::free(node->node.inputs);
    std::free(node->node.outputs);
  }
  for (TfLiteTensor& tensor : tensors_) {
    std::free(tensor.dims);
    if (tensor.allocation_type != kTfLiteMmapRo) std::free(tensor.data);
  }
  std::free(plan_);
}

void Host::report(TfLiteContext* context, const char* format, ...) {
  char line[1024];
  va_list args;
  va_start(args, format);
  std::vsnprintf(line, sizeof line, format, args);
  va_end(args);
  of(context)->errors_ += line;
}

int Host::add_tensor(const TensorSpec& spec) {
  TfLiteTensor tensor = {};
  tensor.type = spec.type;
  tensor.dims = new_array(spec.dims);
  tensor.name = "tensor";
  tensor.allocation_type = kTfLiteArenaRw;
  tensor.bytes = bytes_of_tensor(tensor);
  if (!spec.scales.empty()) {
    std::vector<int> zero_points = spec.zero_points;
    zero_points.resize(spec.scales.size());
    auto affine = std::make_unique<Affine>();
    affine->scales.reset(new_array(spec.scales));
    affine->zero_points.reset(new_array(zero_points));
    affine->told = {affine->scales.get(), affine->zero_points.get(), spec.axis};
    tensor.quantization = {kTfLiteAffineQuantization, &affine->told};
    affines_.push_back(std::move(affine));
    tensor.params = {spec.scales[0], zero_points[0]};
  }
  if (!spec.constant.empty()) {
    blobs_.push_back(std::make_unique<std::vector<uint8_t>>(spec.constant));
    tensor.allocation_type = kTfLiteMmapRo;
    tensor.data = blobs_.back()->data();
    tensor.bytes = spec.constant.size();
  }
  tensors_.push_back(tensor);
  context_.tensors = tensors_.data();
  context_.tensors_size = tensors_.size();
  return static_cast<int>(tensors_.size()) - 1;
}

int Host::add_node_bytes(int builtin, int version, std::vector<int> inputs,
                         std::vector<int> outputs, std::vector<uint8_t> params,
                         std::function<void(Host&)> invoke) {
  auto node = std::make_unique<Node>();
  node->node.inputs = new_array(inputs);
  node->node.outputs = new_array(outputs);
  node->params = std::move(params);
  node->node.builtin_data = node->params.empty() ? nullptr : node->params.data();
  node->registration.builtin_code = builtin;
  node->registration.version = version;
  node->invoke = std::move(invoke);
  nodes_.push_back(std::move(node));
  order_.push_back(static_cast<int>(nodes_.size()) - 1);
  return order_.back();
}

TfLiteStatus Host::apply(TfLiteDelegate* delegate) {
  claiming_ = true;
  const TfLiteStatus status = delegate->Prepare(&context_, delegate);
  claiming_ = false;
  // The runtime's nodes move when its list grows; what they point to stays.
  for (std::unique_ptr<Node>& node : nodes_) node = std::make_unique<Node>(std::move(*node));
  return status;
}

TfLiteNode* Host::node(int index) { return &nodes_[static_cast<size_t>(index)]->node; }

TfLiteRegistration* Host::registration(int index) {
  return &nodes_[static_cast<size_t>(index)]->registration;
}

// Walks the graph as the runtime's partitioner does: turn by turn, all nodes of one kind (taken or
// not) whose inputs are there.
TfLiteStatus Host::replace(const TfLiteRegistration& registration, const TfLiteIntArray* nodes,
                           TfLiteDelegate* delegate) {
  taken_.assign(nodes->data, nodes->data + nodes->size);
  std::set<int> taken(taken_.begin(), taken_.end()), done;
  std::set<int> made;
  for (const auto& node : nodes_) {
    for (int i = 0; i < node->node.outputs->size; ++i) made.insert(node->node.outputs->data[i]);
  }
  order_.clear();
  bool turn = true;
  for (int idle = 0; done.size() < nodes_.size() && idle < 2; turn = !turn) {
    std::vector<int> group;
    for (size_t n = 0; n < nodes_.size(); ++n) {
      const int index = static_cast<int>(n);
      if (done.count(index) || (taken.count(index) != 0) != turn) continue;
      const TfLiteIntArray* inputs = nodes_[n]->node.inputs;
      const bool ready = std::none_of(inputs->data, inputs->data + inputs->size,
                                      [&made](int t) { return made.count(t) != 0; });
      if (!ready) continue;
      group.push_back(index);
      done.insert(index);
      for (int i = 0; i < nodes_[n]->node.outputs->size; ++i) {
        made.erase(nodes_[n]->node.outputs->data[i]);
      }
    }
    idle = group.empty() ? idle + 1 : 0;
    if (group.empty()) continue;
    if (!turn) {
      order_.insert(order_.end(), group.begin(), group.end());
    } else if (make_kernel(registration, group, delegate) != kTfLiteOk) {
      return kTfLiteError;
    }
  }
  return kTfLiteOk;
}

TfLiteStatus Host::make_kernel(const TfLiteRegistration& registration, std::vector<int> nodes,
                               TfLiteDelegate* delegate) {
  std::set<int> made, read, read_outside(outputs_.begin(), outputs_.end());
  const std::set<int> members(nodes.begin(), nodes.end());
  for (size_t n = 0; n < nodes_.size(); ++n) {
    const bool member = members.count(static_cast<int>(n)) != 0;
    const TfLiteNode& node = nodes_[n]->node;
    for (int i = 0; i < node.inputs->size; ++i) {
      if (node.inputs->data[i] >= 0) (member ? read : read_outside).insert(node.inputs->data[i]);
    }
    if (!member) continue;
    nodes_[n]->replaced = true;
    for (int i = 0; i < node.outputs->size; ++i) made.insert(node.outputs->data[i]);
  }
  std::vector<int> inputs, outputs;
  auto kernel = std::make_unique<Kernel>();
  for (int t : read) {
    if (!made.count(t)) inputs.push_back(t);
  }
  for (int t : made) {
    if (read_outside.count(t)) {
      outputs.push_back(t);
    } else {
      kernel->inside.insert(t);
    }
  }
  kernel->registration = registration;
  kernel->params = {delegate, new_array(nodes), new_array(inputs), new_array(outputs)};
  kernel->node.inputs = new_array(inputs);
  kernel->node.outputs = new_array(outputs);
  kernel->node.delegate = delegate;
  kernel->node.user_data =
      registration.init(&context_, reinterpret_cast<const char*>(&kernel->params), 0);
  kernels_.push_back(std::move(kernel));
  order_.push_back(-static_cast<int>(kernels_.size()));
  return kTfLiteOk;
}

bool Host::inside_partition(int tensor) const {
  return std::any_of(kernels_.begin(), kernels_.end(),
                     [tensor](const auto& kernel) { return kernel->inside.count(tensor) != 0; });
}

TfLiteStatus Host::allocate(int times) {
  for (size_t t = 0; t < tensors_.size(); ++t) {
    TfLiteTensor& tensor = tensors_[t];
    if (tensor.allocation_type == kTfLiteMmapRo) continue;
    std::free(tensor.data);
    tensor.data = nullptr;
    tensor.bytes = bytes_of_tensor(tensor);
    if (inside_partition(static_cast<int>(t))) continue;
    tensor.data = std::malloc(tensor.bytes);
    std::memset(tensor.data, 0xa5, tensor.bytes);
  }
  for (int i = 0; i < times; ++i) {
    for (const auto& kernel : kernels_) {
      if (kernel->registration.prepare(&context_, &kernel->node) != kTfLiteOk) return kTfLiteError;
    }
  }
  return kTfLiteOk;
}

TfLiteStatus Host::invoke() {
  for (int step : order_) {
    if (step >= 0) {
      if (nodes_[static_cast<size_t>(step)]->invoke)
        nodes_[static_cast<size_t>(step)]->invoke(*this);
      continue;
    }
    Kernel& kernel = *kernels_[static_cast<size_t>(-1 - step)];
    if (kernel.registration.invoke(&context_, &kernel.node) != kTfLiteOk) return kTfLiteError;
  }
  return kTfLiteOk;
}

void Host::resize(int index, const std::vector<int>& dims) {
  std::free(tensor(index).dims);
  tensor(index).dims = new_array(dims);
}

TfLiteStatus Host::resize_from_kernel(TfLiteTensor* tensor, TfLiteIntArray* dims) {
  if (refuses_resizes_ || tensor->allocation_type == kTfLiteMmapRo) {
    std::free(dims);  // the runtime's own, whatever becomes of it
    report(&context_, "Attempting to resize a fixed-size tensor.");
    return kTfLiteError;
  }
  std::free(tensor->dims);
  tensor->dims = dims;
  tensor->bytes = bytes_of_tensor(*tensor);
  if (tensor->bytes > kMostResized) {
    report(&context_, "No memory for a tensor of %zu bytes.", tensor->bytes);
    return kTfLiteError;
  }
  if (tensor->data == nullptr) return kTfLiteOk;
  std::free(tensor->data);
  tensor->data = std::malloc(tensor->bytes);
  std::memset(tensor->data, 0xa5, tensor->bytes);
  return kTfLiteOk;
}

void Host::set(int index, const std::vector<int8_t>& values) {
  std::memcpy(tensor(index).data, values.data(), values.size());
}

std::vector<int8_t> Host::get(int index) const {
  const TfLiteTensor& t = tensors_[static_cast<size_t>(index)];
  const int8_t* data = static_cast<const int8_t*>(t.data);
  return std::vector<int8_t>(data, data + t.bytes);
}

}  // namespace int8x::host
