#include <cstring>

#include "delegate/ops/operator.h"

namespace int8x {

#define INT8X_OPERATOR(object, name) extern const Operator k_##object;
#include "delegate/ops/ops.inc"
#undef INT8X_OPERATOR

namespace {

const Operator* const kOperators[] = {
#define INT8X_OPERATOR(object, name) &k_##object,
#include "delegate/ops/ops.inc"
#undef INT8X_OPERATOR
};

}  // namespace

const Operator* find_operator(int builtin) {
  for (const Operator* op : kOperators) {
    if (op->builtin == builtin) return op;
  }
  return nullptr;
}

const Operator* operator_of(const NodeView& node) {
  const Operator* op = find_operator(node.builtin());
  const bool wide = node.has_input(0) && node.input(0).type == kTfLiteInt16;
  return wide && op != nullptr && op->wide != nullptr ? op->wide : op;
}

bool is_operator_name(const char* name, size_t length) {
  for (const Operator* op : kOperators) {
    if (std::strlen(op->name) == length && std::memcmp(op->name, name, length) == 0) return true;
  }
  return false;
}

const char* operator_names() {
#define INT8X_OPERATOR(object, name) ", " name
  static const char names[] =
#include "delegate/ops/ops.inc"
      ;
#undef INT8X_OPERATOR
  return names + 2;
}

}  // namespace int8x
