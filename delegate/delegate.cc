#include "delegate/delegate.h"

#include <cstdio>
#include <new>

#include "delegate/ops/macs.h"
#include "delegate/tflite/assignments.h"

namespace int8x {
namespace {

// A kernel's user_data. Runtimes before mid-2025 call prepare even when init failed.
void* const kFailed = reinterpret_cast<void*>(-1);
constexpr const char* kName = "Int8xDelegate";

Partition* partition(const TfLiteNode* node) {
  void* data = node->user_data;
  return data == kFailed ? nullptr : static_cast<Partition*>(data);
}

void* init_kernel(TfLiteContext* context, const char* buffer, size_t) {
  const auto* params = reinterpret_cast<const TfLiteDelegateParams*>(buffer);
  if (params == nullptr || params->delegate == nullptr) return kFailed;
  Partition* opened = Delegate::from(params->delegate)->open(context, *params);
  return opened == nullptr ? kFailed : opened;
}

void free_kernel(TfLiteContext*, void* data) {
  if (data == nullptr || data == kFailed) return;
  Partition* closing = static_cast<Partition*>(data);
  closing->owner()->close(closing);
}

TfLiteStatus prepare_kernel(TfLiteContext* context, TfLiteNode* node) {
  Partition* p = partition(node);
  return p == nullptr ? kTfLiteError : p->owner()->prepare(context, p);
}

TfLiteStatus invoke_kernel(TfLiteContext* context, TfLiteNode* node) {
  Partition* p = partition(node);
  return p != nullptr && p->invoke(context) ? kTfLiteOk : kTfLiteError;
}

TfLiteStatus claim_graph(TfLiteContext* context, TfLiteDelegate* delegate) {
  if (context == nullptr || delegate == nullptr) return kTfLiteError;
  return Delegate::from(delegate)->claim(context);
}

// Why the delegate leaves a node to TFLite.
Reason refuse(const NodeView& node, const Assignments& assignments, const Options& options) {
  const Operator* op = operator_of(node);
  if (op == nullptr) return "the delegate has no such operator";
  if (!options.allows(op->name)) return "excluded by option allow_ops or deny_ops";
  if (node.version() > op->max_version) return "a newer version of the operator than is known";
  for (int i = 0; i < node.inputs(); ++i) {
    if (node.has_input(i) && node.input(i).allocation_type == kTfLiteDynamic) {
      return "an input of dynamic shape";
    }
    if (node.has_input(i) && node.input(i).is_variable) return "an input that is a variable";
  }
  for (int i = 0; i < node.outputs(); ++i) {
    if (node.output(i).allocation_type == kTfLiteDynamic) return "an output of dynamic shape";
  }
  if (Reason reason = assignments.refuse(node)) return reason;
  return op->refuse(node);
}

struct IntArray {
  explicit IntArray(const std::vector<int>& values) : words(values.size() + 1) {
    words[0] = static_cast<int>(values.size());
    for (size_t i = 0; i < values.size(); ++i) words[i + 1] = values[i];
  }
  const TfLiteIntArray* get() const {
    return reinterpret_cast<const TfLiteIntArray*>(words.data());
  }
  std::vector<int> words;
};

}  // namespace

Delegate::Delegate(Options options) : options_(std::move(options)) {
  room_.delegate.data_ = this;
  room_.delegate.Prepare = claim_graph;
  // With dynamic tensors allowed but shapes not propagated, a resize would leave the shapes inside
  // a partition as they were.
  room_.delegate.flags = kTfLiteDelegateFlagsAllowDynamicTensors |
                         kTfLiteDelegateFlagsRequirePropagatedShapes |
                         kTfLiteDelegateFlagsPerOperatorProfiling;
}

Delegate::~Delegate() {
  for (ThreadPool* pool : pools_) delete pool;
  pthread_mutex_destroy(&mutex_);
}

void Delegate::retire() {
  pthread_mutex_lock(&mutex_);
  retired_ = true;
  const bool last = partitions_.empty();
  pthread_mutex_unlock(&mutex_);
  if (last) delete this;
}

TfLiteStatus Delegate::claim(TfLiteContext* context) {
  TfLiteIntArray* plan = nullptr;
  if (context->GetExecutionPlan == nullptr || context->GetNodeAndRegistration == nullptr ||
      context->ReplaceNodeSubsetsWithDelegateKernels == nullptr ||
      context->GetExecutionPlan(context, &plan) != kTfLiteOk || plan == nullptr) {
    return kTfLiteError;
  }
  std::vector<NodeView> nodes;
  for (int i = 0; i < plan->size; ++i) {
    NodeView node;
    if (NodeView::open(context, plan->data[i], &node)) nodes.push_back(node);
  }
  const Assignments assignments(nodes, context->tensors_size);
  Graph graph = {context, {}};
  std::vector<int> taken;
  for (const NodeView& node : nodes) {
    const bool custom = node.builtin() == kTfLiteBuiltinCustom;
    const Claim claim = {node.index(), node.builtin(), custom ? node.custom_name() : nullptr,
                         node_macs(node), refuse(node, assignments, options_)};
    if (claim.refused == nullptr) taken.push_back(claim.node);
    graph.claims.push_back(claim);
  }
  log_claims(graph);
  pthread_mutex_lock(&mutex_);
  bool known = false;
  for (Graph& g : graphs_) {
    if (g.context != context) continue;
    g = graph;
    known = true;
  }
  if (!known) graphs_.push_back(graph);
  pthread_mutex_unlock(&mutex_);
  if (taken.empty()) return kTfLiteOk;
  TfLiteRegistration registration = {};
  registration.init = init_kernel;
  registration.free = free_kernel;
  registration.prepare = prepare_kernel;
  registration.invoke = invoke_kernel;
  registration.builtin_code = kTfLiteBuiltinDelegate;
  registration.custom_name = kName;
  registration.version = 1;
  return context->ReplaceNodeSubsetsWithDelegateKernels(context, registration,
                                                        IntArray(taken).get(), tflite());
}

Partition* Delegate::open(TfLiteContext* context, const TfLiteDelegateParams& params) {
  Partition* opened = new (std::nothrow) Partition(this);
  Text error;
  if (opened == nullptr ||
      !opened->init(context, params, Resources{options_.archs, &weights_, options_.sparse},
                    &error)) {
    if (context->ReportError != nullptr) context->ReportError(context, "%s", error.c_str());
    delete opened;
    return nullptr;
  }
  pthread_mutex_lock(&mutex_);
  partitions_.push_back(opened);
  pthread_mutex_unlock(&mutex_);
  return opened;
}

void Delegate::close(Partition* closing) {
  pthread_mutex_lock(&mutex_);
  for (size_t i = 0; i < partitions_.size(); ++i) {
    if (partitions_[i] != closing) continue;
    partitions_.erase(partitions_.begin() + static_cast<std::ptrdiff_t>(i));
    break;
  }
  const bool last = retired_ && partitions_.empty();
  pthread_mutex_unlock(&mutex_);
  delete closing;
  if (last) delete this;
}

ThreadPool* Delegate::pool_for(TfLiteContext* context) {
  int threads = options_.num_threads;
  if (threads == -1) threads = context->recommended_num_threads;
  if (threads <= 1) return nullptr;
  if (threads > ThreadPool::kMaxThreads) threads = ThreadPool::kMaxThreads;
  pthread_mutex_lock(&mutex_);
  ThreadPool* found = nullptr;
  for (ThreadPool* pool : pools_) {
    if (pool->threads() == threads) found = pool;
  }
  if (found == nullptr) {
    found = new (std::nothrow) ThreadPool(threads);
    if (found != nullptr) pools_.push_back(found);
  }
  pthread_mutex_unlock(&mutex_);
  return found;
}

TfLiteStatus Delegate::prepare(TfLiteContext* context, Partition* p) {
  ThreadPool* pool = pool_for(context);
  Text error;
  pthread_mutex_lock(&mutex_);
  const bool planned = p->prepare(context, pool, options_.profile, &error);
  pthread_mutex_unlock(&mutex_);
  if (planned) return kTfLiteOk;
  if (context->ReportError != nullptr) context->ReportError(context, "%s", error.c_str());
  return kTfLiteError;
}

void Delegate::log_claims(const Graph& graph) const {
  if (options_.log_level == LogLevel::silent) return;
  size_t taken = 0;
  for (const Claim& claim : graph.claims) {
    if (claim.refused == nullptr) {
      ++taken;
      continue;
    }
    const Operator* op = find_operator(claim.builtin);
    std::fprintf(stderr,
                 "int8x delegate: node %d (%s, builtin %d) is left to TensorFlow Lite: %s\n",
                 claim.node, op == nullptr ? "unknown" : op->name, claim.builtin, claim.refused);
  }
  if (options_.log_level == LogLevel::info) {
    std::fprintf(stderr, "int8x delegate: takes %zu of %zu nodes\n", taken, graph.claims.size());
  }
}

}  // namespace int8x
