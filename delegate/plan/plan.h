// A partition of the graph as a flat list of steps over values.
//
// Operators append steps (ops/), passes rewrite the list and give each value a place (passes.h),
// the executor runs it (executor.h). Nothing here knows TFLite.

#ifndef INT8X_PLAN_PLAN_H_
#define INT8X_PLAN_PLAN_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "delegate/base/shape.h"

namespace int8x {

using ValueId = int;

// How a value's elements lie in memory. Packed layouts are added here with the passes that choose
// them; steps say which ones they read and write.
enum class Layout : uint8_t {
  dense,  // row-major, as TFLite has it
};

enum class Storage : uint8_t {
  arena,     // lives between two steps; the plan owns its memory
  input,     // the caller's memory, read
  output,    // the caller's memory, written
  constant,  // the model's memory
};

struct Value {
  int tensor = -1;  // the caller's name for it
  ElementType type = ElementType::s8;
  Shape shape;
  Layout layout = Layout::dense;
  Storage storage = Storage::arena;
  const void* constant = nullptr;

  // Set by the passes. An alias has no memory of its own and lies where `alias` lies.
  ValueId alias = -1;
  int first_step = -1, last_step = -1;
  size_t offset = 0;

  size_t bytes() const { return static_cast<size_t>(shape.elements()) * element_size(type); }
};

enum class StepKind : uint8_t {
  conv,
  depthwise,
  fully_connected,
  sparse,
  batch_matmul,
  add,
  mul,
  binary,
  select,
  pool,
  mean,
  extremum,
  l2_normalization,
  lut,
  softmax,
  log_softmax,
  resize,
  convert,
  wide,
  pad,
  move,
  concatenate,
  pair,
  view,
};

// What a PAD puts around the rows and columns of [batch, height, width, channels].
struct Frame {
  int32_t batch, in_h, in_w, out_h, out_w;
  int32_t top, left;
  int8_t fill;
};

// One call of one kernel. Immutable once planned, so that threads can share it.
class Step {
 public:
  Step(StepKind kind, const char* op, std::vector<ValueId> inputs, ValueId output)
      : kind(kind), op(op), inputs(std::move(inputs)), output(output) {}
  virtual ~Step() = default;
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;

  const StepKind kind;
  const char* const op;  // the operator that asked for it, as TFLite names it
  int node = -1;         // its index in the caller's graph
  std::vector<ValueId> inputs;
  ValueId output;

  // The kernel that runs, e.g. "gemm_s8_s8_s32_32x32x64_avx512amx".
  virtual const char* kernel() const = 0;
  // Multiply-accumulates of one run; 0 where the term has no meaning.
  virtual int64_t macs() const { return 0; }
  // Rough nanoseconds of one run on one fast core: what decides whether threads are worth it.
  virtual int64_t cost() const = 0;
  // Units of work that may run in any order and at the same time, >= 1.
  virtual int64_t tiles() const = 0;
  // What each thread needs beside its inputs and output.
  virtual size_t scratch_bytes() const { return 0; }
  // Where each byte of the output depends on the bytes at its place in the inputs alone: what it is
  // for 256 of them from each input. False for any other step.
  virtual bool of_each_byte(const int8_t* const* /*inputs*/, int8_t* /*output*/) const {
    return false;
  }
  // The same output from `input`, around which this step finds the frame itself; null if it cannot.
  virtual std::unique_ptr<Step> without_pad(ValueId /*input*/, const Frame& /*frame*/) const {
    return nullptr;
  }
  // This step for one image of so many rows, from value 0 to value 1; null where an output pixel
  // needs more than the input pixel at its place.
  virtual std::unique_ptr<Step> for_rows(int32_t /*rows*/) const { return nullptr; }
  // data[v] is where value v lies. Tiles [begin, end) of the output are written and nothing else.
  virtual void run(void* const* data, int64_t begin, int64_t end, void* scratch) const = 0;
};

struct Plan {
  std::vector<Value> values;
  std::vector<std::unique_ptr<Step>> steps;

  // Set by the passes.
  size_t arena_bytes = 0;     // values and scratch
  size_t scratch_offset = 0;  // where the threads' scratch begins
  size_t scratch_stride = 0;  // bytes from one thread's scratch to the next

  ValueId root(ValueId v) const {
    while (values[v].alias >= 0) v = values[v].alias;
    return v;
  }
};

}  // namespace int8x

#endif  // INT8X_PLAN_PLAN_H_
