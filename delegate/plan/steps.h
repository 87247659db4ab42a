// The steps: each binds one kernel family's parameters to values.

#ifndef INT8X_PLAN_STEPS_H_
#define INT8X_PLAN_STEPS_H_

#include <memory>
#include <utility>
#include <vector>

#include "delegate/kernels/batch_matmul/batch_matmul.h"
#include "delegate/kernels/conv/conv.h"
#include "delegate/kernels/convert/convert.h"
#include "delegate/kernels/copy/copy.h"
#include "delegate/kernels/copy/move.h"
#include "delegate/kernels/depthwise/depthwise.h"
#include "delegate/kernels/elementwise/add.h"
#include "delegate/kernels/elementwise/binary.h"
#include "delegate/kernels/elementwise/mul.h"
#include "delegate/kernels/elementwise/select.h"
#include "delegate/kernels/fully_connected/fully_connected.h"
#include "delegate/kernels/lut/lut.h"
#include "delegate/kernels/pool/pool.h"
#include "delegate/kernels/reduce/extremum.h"
#include "delegate/kernels/reduce/l2_normalization.h"
#include "delegate/kernels/reduce/mean.h"
#include "delegate/kernels/resize/resize_bilinear.h"
#include "delegate/kernels/softmax/log_softmax.h"
#include "delegate/kernels/softmax/softmax.h"
#include "delegate/kernels/wide/convert.h"
#include "delegate/kernels/wide/pointwise.h"
#include "delegate/kernels/wide/softmax.h"
#include "delegate/kernels/wide/wide_conv.h"
#include "delegate/plan/plan.h"

namespace int8x {

// What one run takes: see Step::macs() and Step::cost().
struct Work {
  int64_t macs = 0;
  int64_t nanoseconds = 0;
};

// A step whose kernel has the usual protocol: tiles, scratch_bytes, kernel_name of its parameters.
template <StepKind kKind, typename Params, int64_t (*kTiles)(const Params&),
          size_t (*kScratch)(const Params&), const char* (*kName)(const Params&)>
class KernelStep : public Step {
 public:
  KernelStep(const char* op, std::vector<ValueId> inputs, ValueId output, const Params& params,
             Work work)
      : Step(kKind, op, std::move(inputs), output), params(params), work_(work) {}

  const Params params;

  const char* kernel() const override { return kName(params); }
  int64_t macs() const override { return work_.macs; }
  int64_t cost() const override { return work_.nanoseconds; }
  int64_t tiles() const override { return kTiles(params); }
  size_t scratch_bytes() const override { return kScratch(params); }

 private:
  const Work work_;
};

template <typename Base, typename Params, typename In, typename Out,
          void (*kRun)(const Params&, const In*, Out*, int64_t, int64_t, void*)>
class UnaryStep : public Base {
 public:
  using Base::Base;
  void run(void* const* data, int64_t begin, int64_t end, void* scratch) const override {
    kRun(this->params, static_cast<const In*>(data[this->inputs[0]]),
         static_cast<Out*>(data[this->output]), begin, end, scratch);
  }
};

template <typename Base, typename Params, typename T,
          void (*kRun)(const Params&, const T*, const T*, T*, int64_t, int64_t, void*)>
class BinaryStep : public Base {
 public:
  using Base::Base;
  void run(void* const* data, int64_t begin, int64_t end, void* scratch) const override {
    kRun(this->params, static_cast<const T*>(data[this->inputs[0]]),
         static_cast<const T*>(data[this->inputs[1]]), static_cast<T*>(data[this->output]), begin,
         end, scratch);
  }
};

// A binary step without broadcasting that computes each output from its two operands alone.
template <typename Base, typename Params,
          void (*kRun)(const Params&, const int8_t*, const int8_t*, int8_t*, int64_t, int64_t,
                       void*)>
class PairsStep : public BinaryStep<Base, Params, int8_t, kRun> {
 public:
  using BinaryStep<Base, Params, int8_t, kRun>::BinaryStep;
  bool of_each_byte(const int8_t* const* inputs, int8_t* output) const override {
    Params bytes = this->params;
    Broadcast& shape = bytes.shape;
    if (shape.rank != 1 || shape.lhs_stride[0] != 1 || shape.rhs_stride[0] != 1) return false;
    shape.extent[0] = shape.size = kLutSize;
    kRun(bytes, inputs[0], inputs[1], output, 0, 1, nullptr);
    return true;
  }
};

#define INT8X_STEP_BASE(kind, Params, prefix) \
  KernelStep<StepKind::kind, Params, prefix##_tiles, prefix##_scratch_bytes, prefix##_kernel_name>
#define INT8X_UNARY_STEP(Name, kind, Params, prefix, In, Out) \
  using Name = UnaryStep<INT8X_STEP_BASE(kind, Params, prefix), Params, In, Out, prefix##_run>
#define INT8X_PAIRS_STEP(Name, kind, Params, prefix) \
  using Name = PairsStep<INT8X_STEP_BASE(kind, Params, prefix), Params, prefix##_run>
#define INT8X_BINARY_STEP(Name, kind, Params, prefix, T) \
  using Name = BinaryStep<INT8X_STEP_BASE(kind, Params, prefix), Params, T, prefix##_run>

INT8X_UNARY_STEP(PoolStep, pool, PoolParams, pool, int8_t, int8_t);
INT8X_UNARY_STEP(MeanStep, mean, MeanParams, mean, int8_t, int8_t);
INT8X_UNARY_STEP(ExtremumStep, extremum, ExtremumParams, extremum, int8_t, int8_t);
INT8X_UNARY_STEP(L2NormalizationStep, l2_normalization, L2NormalizationParams, l2_normalization,
                 int8_t, int8_t);
INT8X_UNARY_STEP(LogSoftmaxStep, log_softmax, LogSoftmaxParams, log_softmax, int8_t, int8_t);
INT8X_UNARY_STEP(ResizeBilinearStep, resize, ResizeParams, resize_bilinear, int8_t, int8_t);
INT8X_UNARY_STEP(SoftmaxStep, softmax, SoftmaxParams, softmax, int8_t, int8_t);
INT8X_UNARY_STEP(QuantizeStep, convert, QuantizeParams, quantize, float, int8_t);
INT8X_UNARY_STEP(DequantizeStep, convert, DequantizeParams, dequantize, int8_t, float);
INT8X_UNARY_STEP(MoveStep, move, MoveParams, move, int8_t, int8_t);
INT8X_PAIRS_STEP(AddStep, add, AddParams, add);
INT8X_PAIRS_STEP(MulStep, mul, MulParams, mul);
INT8X_PAIRS_STEP(ElementwiseStep, binary, BinaryParams, binary);
INT8X_BINARY_STEP(BatchMatmulStep, batch_matmul, BatchMatmulParams, batch_matmul, int8_t);

INT8X_BINARY_STEP(WideBinaryStep, wide, WideBinaryParams, wide_binary, int16_t);
INT8X_UNARY_STEP(WidePoolStep, wide, WidePoolParams, wide_pool, int16_t, int16_t);
INT8X_UNARY_STEP(WideSigmoidStep, wide, WideSigmoidParams, wide_sigmoid, int16_t, int16_t);
INT8X_UNARY_STEP(WideSoftmaxStep, wide, WideSoftmaxParams, wide_softmax, int16_t, int16_t);
INT8X_UNARY_STEP(WideConvStep, wide, WideConvParams, wide_conv, int16_t, int16_t);
INT8X_UNARY_STEP(RescaleStep, convert, RescaleParams, rescale, void, void);

class SelectStep : public INT8X_STEP_BASE(select, SelectParams, select) {
 public:
  using KernelStep::KernelStep;
  void run(void* const* data, int64_t begin, int64_t end, void* scratch) const override {
    select_run(params, static_cast<const uint8_t*>(data[inputs[0]]), data[inputs[1]],
               data[inputs[2]], data[output], begin, end, scratch);
  }
};

// The frame's batch is 0 where more than rows and columns is padded.
class PadStep
    : public UnaryStep<INT8X_STEP_BASE(pad, PadParams, pad), PadParams, int8_t, int8_t, pad_run> {
 public:
  PadStep(const char* op, std::vector<ValueId> inputs, ValueId output, const PadParams& params,
          const Frame& frame, Work work)
      : UnaryStep(op, std::move(inputs), output, params, work), frame(frame) {}

  const Frame frame;
};

class LutStep
    : public UnaryStep<INT8X_STEP_BASE(lut, LutParams, lut), LutParams, int8_t, int8_t, lut_run> {
 public:
  using UnaryStep::UnaryStep;
  bool of_each_byte(const int8_t* const* inputs, int8_t* output) const override {
    for (int i = 0; i < kLutSize; ++i) {
      output[i] = static_cast<int8_t>(params.table[static_cast<uint8_t>(inputs[0][i])]);
    }
    return true;
  }
};

// Keeps the packed weights alive that its parameters point to.
class DepthwiseStep : public UnaryStep<INT8X_STEP_BASE(depthwise, DepthwiseParams, depthwise),
                                       DepthwiseParams, int8_t, int8_t, depthwise_run> {
 public:
  DepthwiseStep(std::shared_ptr<const void> weights, const char* op, std::vector<ValueId> inputs,
                ValueId output, const DepthwiseParams& params, Work work)
      : UnaryStep(op, std::move(inputs), output, params, work), weights_(std::move(weights)) {}
  std::unique_ptr<Step> without_pad(ValueId input, const Frame& frame) const override;

 private:
  const std::shared_ptr<const void> weights_;
};

#undef INT8X_STEP_BASE
#undef INT8X_UNARY_STEP
#undef INT8X_PAIRS_STEP
#undef INT8X_BINARY_STEP

// Convolution and matrix product: the weights are shared, the geometry is the step's own.
class ConvStep : public Step {
 public:
  ConvStep(std::shared_ptr<const ConvWeights> weights, ValueId input, ValueId output,
           const ConvGeometry& geometry, Work work, const char* op = "CONV_2D")
      : Step(StepKind::conv, op, {input}, output),
        weights(std::move(weights)),
        geometry(geometry),
        layout(conv_layout(*this->weights, geometry)),
        work_(work) {}

  const std::shared_ptr<const ConvWeights> weights;
  const ConvGeometry geometry;
  const ConvLayout layout;

  const char* kernel() const override { return conv_kernel_name(*weights); }
  int64_t macs() const override { return work_.macs; }
  int64_t cost() const override { return work_.nanoseconds; }
  int64_t tiles() const override { return conv_tiles(*weights, geometry); }
  size_t scratch_bytes() const override { return conv_scratch_bytes(*weights, geometry); }
  std::unique_ptr<Step> without_pad(ValueId input, const Frame& frame) const override;
  std::unique_ptr<Step> for_rows(int32_t rows) const override;
  void run(void* const* data, int64_t begin, int64_t end, void* scratch) const override;

 private:
  const Work work_;
};

class FullyConnectedStep : public Step {
 public:
  FullyConnectedStep(std::shared_ptr<const FullyConnectedWeights> weights, ValueId input,
                     ValueId output, int64_t rows, Work work)
      : Step(StepKind::fully_connected, "FULLY_CONNECTED", {input}, output),
        weights(std::move(weights)),
        rows(rows),
        cut(fully_connected_cut(*this->weights, rows)),
        work_(work) {}

  const std::shared_ptr<const FullyConnectedWeights> weights;
  const int64_t rows;
  const FullyConnectedCut cut;

  const char* kernel() const override { return fully_connected_kernel_name(*weights); }
  int64_t macs() const override { return work_.macs; }
  int64_t cost() const override { return work_.nanoseconds; }
  int64_t tiles() const override { return fully_connected_tiles(*weights, rows); }
  size_t scratch_bytes() const override { return fully_connected_scratch_bytes(*weights, rows); }
  void run(void* const* data, int64_t begin, int64_t end, void* scratch) const override;

 private:
  const Work work_;
};

class ConcatenateStep : public Step {
 public:
  ConcatenateStep(const char* op, std::vector<ValueId> inputs, ValueId output,
                  const ConcatParams& params, Work work)
      : Step(StepKind::concatenate, op, std::move(inputs), output), params(params), work_(work) {}

  const ConcatParams params;

  const char* kernel() const override { return concat_kernel_name(params); }
  int64_t cost() const override { return work_.nanoseconds; }
  int64_t tiles() const override { return concat_tiles(params); }
  void run(void* const* data, int64_t begin, int64_t end, void* scratch) const override;

 private:
  const Work work_;
};

// The same bytes under another shape. alias_views() takes most of these away.
class ViewStep : public Step {
 public:
  ViewStep(const char* op, ValueId input, ValueId output, size_t bytes)
      : Step(StepKind::view, op, {input}, output), bytes_(bytes) {}

  const char* kernel() const override { return "copy"; }
  int64_t cost() const override { return 0; }
  int64_t tiles() const override { return 1; }
  void run(void* const* data, int64_t begin, int64_t end, void* scratch) const override;

 private:
  const size_t bytes_;
};

}  // namespace int8x

#endif  // INT8X_PLAN_STEPS_H_
