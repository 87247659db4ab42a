#include "delegate/kernels/batch_matmul/batch_matmul.h"

#include "delegate/ops/move.h"
#include "delegate/ops/quantized.h"
#include "delegate/plan/cost.h"
#include "delegate/plan/steps.h"

namespace int8x {
namespace {

// Where each batch's matrix begins in an operand, its batch axes broadcast to those of the output.
std::vector<int64_t> batches(const Shape& operand, const Shape& out) {
  int64_t strides[Shape::kMaxRank];
  dense_strides(operand, strides);
  const int axes = out.rank - 2;
  int64_t count = 1;
  for (int i = 0; i < axes; ++i) count *= out.dims[i];
  std::vector<int64_t> begins;
  for (int64_t batch = 0; batch < count; ++batch) {
    int64_t rest = batch, at = 0;
    for (int i = axes - 1; i >= 0; --i) {
      const int own = i - (out.rank - operand.rank);
      if (own >= 0 && operand.dims[own] != 1) at += rest % out.dims[i] * strides[own];
      rest /= out.dims[i];
    }
    begins.push_back(at);
  }
  return begins;
}

Reason make_params(const NodeView& node, const Shape& lhs, const Shape& rhs, arch::ArchSet archs,
                   Shape* out, BatchMatmulParams* params) {
  const auto* options = node.params<TfLiteBatchMatMulParams>();
  if (options == nullptr) return "no options";
  Activation left, right, output;
  if (Reason reason = read_activation(node.input(0), &left)) return reason;
  if (Reason reason = read_activation(node.input(1), &right)) return reason;
  if (Reason reason = read_activation(node.output(0), &output)) return reason;
  if (lhs.rank < 2 || rhs.rank < 2) return "an operand that is no matrix";
  const float product = left.scale * right.scale;
  const double scale = static_cast<double>(product) / static_cast<double>(output.scale);
  if (!(scale < 1073741824.0)) return "scales whose multiplier is too large";
  BatchMatmulShape shape;
  shape.lhs_transposed = options->adj_x;
  shape.rhs_transposed = options->adj_y;
  shape.m = lhs.back(options->adj_x ? 0 : 1);
  shape.k = lhs.back(options->adj_x ? 1 : 0);
  shape.n = rhs.back(options->adj_y ? 1 : 0);
  if (rhs.back(options->adj_y ? 0 : 1) != shape.k) return "operands whose inner sizes differ";
  out->rank = lhs.rank > rhs.rank ? lhs.rank : rhs.rank;
  int64_t elements = int64_t{shape.m} * shape.n;
  for (int i = 2; i < out->rank; ++i) {
    const int32_t a = lhs.back(i), b = rhs.back(i);
    if (a != b && a != 1 && b != 1) return "batches that do not broadcast";
    out->dims[out->rank - 1 - i] = a > b ? a : b;
    elements *= out->dims[out->rank - 1 - i];
    if (elements > Shape::kMaxElements) return "an output that is too large";
  }
  out->dims[out->rank - 2] = shape.m;
  out->dims[out->rank - 1] = shape.n;
  shape.lhs_batch = batches(lhs, *out);
  shape.rhs_batch = batches(rhs, *out);
  return make_batch_matmul_params(shape, quantize_multiplier(scale), left.zero_point,
                                  right.zero_point, output.zero_point, archs, params)
             ? nullptr
             : "sizes that the kernel does not take";
}

Reason refuse(const NodeView& node) {
  if (Reason reason = check_counts(node, 2, 2, 1)) return reason;
  Shape lhs, rhs, out;
  if (!read_shape(node.input(0), &lhs) || !read_shape(node.input(1), &rhs)) {
    return "a shape that cannot be read";
  }
  BatchMatmulParams params;
  return make_params(node, lhs, rhs, arch::bit(arch::reference), &out, &params);
}

Reason plan(const NodeView& node, const Packed&, const Resources& resources, PlanBuilder* builder) {
  const ValueId lhs = builder->input(node.input_index(0));
  const ValueId rhs = builder->input(node.input_index(1));
  if (lhs < 0 || rhs < 0) return "a shape that cannot be read";
  Shape out;
  BatchMatmulParams params;
  if (Reason reason = make_params(node, builder->shape(lhs), builder->shape(rhs), resources.archs,
                                  &out, &params)) {
    return reason;
  }
  const ValueId output = builder->output(node.output_index(0), out);
  if (output < 0) return "an output shape that does not follow from the inputs";
  const int64_t macs = out.elements() * params.shape.k;
  const int64_t packed = params.shape.rhs_batch.size() * int64_t{params.shape.n} * params.shape.k;
  const Work work = {macs, product_nanoseconds(macs, resources.archs) + packed};
  builder->add(std::make_unique<BatchMatmulStep>("BATCH_MATMUL", std::vector<ValueId>{lhs, rhs},
                                                 output, params, work));
  return nullptr;
}

}  // namespace

extern const Operator k_batch_matmul = {
    kTfLiteBuiltinBatchMatmul, "BATCH_MATMUL", 4, refuse, nullptr, plan};

}  // namespace int8x
