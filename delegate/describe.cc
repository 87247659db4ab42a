// The delegate's description of itself: what Int8xDelegateDescribe() returns.

#include "delegate/delegate.h"

namespace int8x {
namespace {

constexpr const char* kVersion = INT8X_VERSION;

const char* highest_arch(arch::ArchSet set) {
  int best = 0;
  for (int a = 0; a < arch::kArchCount; ++a) {
    if (arch::has(set, static_cast<arch::Arch>(a))) best = a;
  }
  return arch::name(static_cast<arch::Arch>(best));
}

void add_claim(const Claim& claim, Text* json) {
  const Operator* op = find_operator(claim.builtin);
  json->append("{\"node\":%d,\"builtin\":%d,\"op\":", claim.node, claim.builtin);
  if (op != nullptr) {
    json->append_json(op->name);
  } else {
    json->append_json(claim.custom == nullptr ? "" : claim.custom);
  }
  json->append(",\"claimed\":%s,\"reason\":", claim.refused == nullptr ? "true" : "false");
  json->append_json(claim.refused == nullptr ? "" : claim.refused);
  json->append(",\"macs\":%lld}", static_cast<long long>(claim.macs));
}

void add_partition(const Partition& partition, Text* json) {
  const Executor& executor = partition.executor();
  json->append("{\"node_count\":%zu,\"arena_bytes\":%zu,\"packed_bytes\":%zu,\"steps\":[",
               partition.node_count(), executor.plan().arena_bytes, partition.packed_bytes());
  const auto& steps = executor.plan().steps;
  for (size_t i = 0; i < steps.size(); ++i) {
    const StepTime& time = executor.times()[i];
    json->append("%s{\"op\":", i == 0 ? "" : ",").append_json(steps[i]->op);
    json->append(",\"kernel\":").append_json(steps[i]->kernel());
    json->append(",\"node\":%d,\"macs\":%lld,\"nanoseconds\":%lld,\"runs\":%lld}", steps[i]->node,
                 static_cast<long long>(steps[i]->macs()), static_cast<long long>(time.nanoseconds),
                 static_cast<long long>(time.runs));
  }
  json->append("]}");
}

}  // namespace

Text Delegate::describe() {
  Text json;
  json.append("{\"version\":\"%s\",\"arch\":\"%s\",\"threads\":%d,\"subgraphs\":[", kVersion,
              highest_arch(options_.archs), options_.num_threads);
  pthread_mutex_lock(&mutex_);
  for (size_t g = 0; g < graphs_.size(); ++g) {
    json.append("%s{\"index\":%zu,\"nodes\":[", g == 0 ? "" : ",", g);
    const std::vector<Claim>& claims = graphs_[g].claims;
    for (size_t i = 0; i < claims.size(); ++i) {
      if (i > 0) json.append(",");
      add_claim(claims[i], &json);
    }
    json.append("],\"partitions\":[");
    bool first = true;
    for (const Partition* partition : partitions_) {
      if (partition->context() != graphs_[g].context) continue;
      if (!first) json.append(",");
      first = false;
      add_partition(*partition, &json);
    }
    json.append("]}");
  }
  pthread_mutex_unlock(&mutex_);
  json.append("]}");
  return json;
}

}  // namespace int8x
