// One delegate kernel: the nodes of a partition, their packed weights and their plan.

#ifndef INT8X_PARTITION_H_
#define INT8X_PARTITION_H_

#include <vector>

#include "delegate/base/text.h"
#include "delegate/ops/operator.h"
#include "delegate/plan/executor.h"

namespace int8x {

class Delegate;

class Partition {
 public:
  explicit Partition(Delegate* owner) : owner_(owner) {}

  // Packs weights. False with the reason in `error`.
  bool init(TfLiteContext* context, const TfLiteDelegateParams& params, const Resources& resources,
            Text* error);

  // Plans for the shapes that the tensors have now. A call that finds them as they were does
  // nothing. `pool` may be null: then one thread runs it.
  bool prepare(TfLiteContext* context, ThreadPool* pool, bool profile, Text* error);

  // False after the reason was reported to the context. Allocates nothing.
  bool invoke(TfLiteContext* context);

  Delegate* owner() const { return owner_; }
  const Executor& executor() const { return executor_; }
  size_t node_count() const { return nodes_.size(); }
  const void* context() const { return context_; }
  // Of packed weights, shared ones included.
  size_t packed_bytes() const;

 private:
  struct Node {
    NodeView view;
    const Operator* op;
    Packed packed;
    int32_t packed_for;  // the channels that input 0 had then
  };
  struct Binding {
    ValueId value;
    int tensor;
    size_t bytes;
  };

  bool pack(Node* node, Text* error) const;
  bool plan_nodes(TfLiteContext* context, Plan* plan, Text* error);
  // Shapes of every tensor that the nodes touch, and the threads planned for.
  std::vector<int32_t> fingerprint(int threads) const;

  Delegate* const owner_;
  const void* context_ = nullptr;
  Resources resources_ = {};
  std::vector<Node> nodes_;
  std::vector<int> outputs_;
  std::vector<Binding> bindings_;
  std::vector<int32_t> planned_for_;
  Executor executor_;
  ThreadPool* pool_ = nullptr;
};

}  // namespace int8x

#endif  // INT8X_PARTITION_H_
