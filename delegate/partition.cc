#include "delegate/partition.h"

#include "delegate/plan/passes.h"
#include "delegate/tflite/profiler_abi.h"

namespace int8x {
namespace {

// Tells the runtime's profiler of each step, as XNNPACK does.
class ToProfiler final : public StepObserver {
 public:
  explicit ToProfiler(void* profiler) : profiler_(static_cast<TfLiteProfiler*>(profiler)) {}
  void ran(const Step& step, int64_t microseconds) override {
    profiler_->vtable->AddEvent(profiler_, step.op, kTfLiteProfilerDelegateProfiledOperatorInvoke,
                                static_cast<uint64_t>(microseconds), step.node, 0);
  }

 private:
  TfLiteProfiler* const profiler_;
};

int32_t channels(const NodeView& node) {
  const TfLiteIntArray* dims = node.has_input(0) ? node.input(0).dims : nullptr;
  return dims == nullptr || dims->size < 1 ? 0 : dims->data[dims->size - 1];
}

}  // namespace

bool Partition::pack(Node* node, Text* error) const {
  if (node->op->pack == nullptr) return true;
  Packed packed = node->op->pack(node->view, resources_);
  if (packed == nullptr) {
    error->append("int8x delegate: node %d (%s): no memory to pack its weights", node->view.index(),
                  node->op->name);
    return false;
  }
  node->packed = std::move(packed);
  node->packed_for = channels(node->view);
  return true;
}

bool Partition::init(TfLiteContext* context, const TfLiteDelegateParams& params,
                     const Resources& resources, Text* error) {
  context_ = context;
  resources_ = resources;
  for (int i = 0; i < params.output_tensors->size; ++i) {
    outputs_.push_back(params.output_tensors->data[i]);
  }
  for (int i = 0; i < params.nodes_to_replace->size; ++i) {
    NodeView view;
    const int index = params.nodes_to_replace->data[i];
    const Operator* op = NodeView::open(context, index, &view) ? operator_of(view) : nullptr;
    if (op == nullptr) {
      error->append("int8x delegate: node %d is none that the delegate has claimed", index);
      return false;
    }
    Node node = {view, op, nullptr, 0};
    if (!pack(&node, error)) return false;
    nodes_.push_back(std::move(node));
  }
  return true;
}

std::vector<int32_t> Partition::fingerprint(int threads) const {
  std::vector<int32_t> print(1, threads);
  const auto add = [&print](const TfLiteTensor& tensor) {
    const int rank = tensor.dims == nullptr ? -1 : tensor.dims->size;
    print.push_back(rank);
    for (int i = 0; i < rank; ++i) print.push_back(tensor.dims->data[i]);
  };
  for (const Node& node : nodes_) {
    const NodeView& view = node.view;
    for (int i = 0; i < view.inputs(); ++i) {
      if (view.has_input(i)) add(view.input(i));
    }
    for (int i = 0; i < view.outputs(); ++i) add(view.output(i));
  }
  return print;
}

bool Partition::plan_nodes(TfLiteContext* context, Plan* plan, Text* error) {
  PlanBuilder builder(context, outputs_, plan);
  for (Node& node : nodes_) {
    builder.set_node(node.view.index());
    // Other channels may fit the same weights: in other groups, or several to a channel.
    const bool repack = node.packed != nullptr && channels(node.view) != node.packed_for;
    Reason reason = repack ? node.op->refuse(node.view) : nullptr;
    if (repack && reason == nullptr && !pack(&node, error)) return false;
    if (reason == nullptr) reason = node.op->plan(node.view, node.packed, resources_, &builder);
    if (reason != nullptr) {
      error->append("int8x delegate: node %d (%s): %s", node.view.index(), node.op->name, reason);
      return false;
    }
  }
  return true;
}

bool Partition::prepare(TfLiteContext* context, ThreadPool* pool, bool profile, Text* error) {
  pool_ = pool;
  const int threads = pool == nullptr ? 1 : pool->threads();
  if (fingerprint(threads) == planned_for_) return true;
  planned_for_.clear();
  bindings_.clear();
  Plan plan;
  if (!plan_nodes(context, &plan, error)) return false;
  if (!finish(&plan, threads, resources_.archs) ||
      !executor_.load(std::move(plan), threads, profile)) {
    error->append("int8x delegate: no memory for the arena of a partition of %zu nodes",
                  nodes_.size());
    return false;
  }
  const std::vector<Value>& values = executor_.plan().values;
  for (size_t v = 0; v < values.size(); ++v) {
    if (values[v].storage == Storage::input || values[v].storage == Storage::output) {
      bindings_.push_back({static_cast<ValueId>(v), values[v].tensor, values[v].bytes()});
    }
  }
  planned_for_ = fingerprint(threads);  // of outputs that the plan may have resized
  return true;
}

bool Partition::invoke(TfLiteContext* context) {
  if (planned_for_.empty()) return false;  // prepare has said why
  for (const Binding& binding : bindings_) {
    const TfLiteTensor& tensor = context->tensors[binding.tensor];
    if (tensor.data == nullptr || tensor.bytes < binding.bytes) {
      if (context->ReportError != nullptr) {
        context->ReportError(context, "int8x delegate: tensor %d has %zu bytes, the plan wants %zu",
                             binding.tensor, tensor.data == nullptr ? size_t{0} : tensor.bytes,
                             binding.bytes);
      }
      return false;
    }
    executor_.bind(binding.value, tensor.data);
  }
  if (context->profiler == nullptr) {
    executor_.run(pool_);
  } else {
    ToProfiler observer(context->profiler);
    executor_.run(pool_, &observer);
  }
  return true;
}

size_t Partition::packed_bytes() const {
  size_t bytes = 0;
  for (const Node& node : nodes_) {
    if (node.packed != nullptr) bytes += node.packed->bytes();
  }
  return bytes;
}

}  // namespace int8x
