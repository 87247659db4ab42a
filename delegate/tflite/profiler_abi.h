// tflite::Profiler (lite/core/api/profiler.h), which TfLiteContext.profiler points to: a C++ class
// that the delegate knows by its virtual functions. The C++ ABI of Linux and Android lays them out
// in the order of declaration, two for the destructor. They are the same in tflite-runtime 2.14, TF
// 2.21 and ai-edge-litert 1.1 to 2.3; tests/operator_events_test.py meets the real ones.

#ifndef INT8X_TFLITE_PROFILER_ABI_H_
#define INT8X_TFLITE_PROFILER_ABI_H_

#include <cstddef>
#include <cstdint>

extern "C" {

// One bit for each type. This one is counted among the operators of the graph, where
// DELEGATE_OPERATOR_INVOKE_EVENT is listed apart.
enum TfLiteProfilerEventType : int {
  kTfLiteProfilerDelegateProfiledOperatorInvoke = 1 << 3,
};

struct TfLiteProfiler;

struct TfLiteProfilerVtable {
  void (*destroy)(TfLiteProfiler*);
  void (*destroy_and_free)(TfLiteProfiler*);
  uint32_t (*BeginEvent)(TfLiteProfiler*, const char* tag, TfLiteProfilerEventType type,
                         int64_t metadata1, int64_t metadata2);
  void (*EndEventWithMetadata)(TfLiteProfiler*, uint32_t event, int64_t metadata1,
                               int64_t metadata2);
  void (*EndEvent)(TfLiteProfiler*, uint32_t event);
  // An event that took `metric` microseconds. `tag` must live as long as the profiler; metadata1 is
  // the node, and in the place of metadata2 the runtime puts the subgraph.
  void (*AddEvent)(TfLiteProfiler*, const char* tag, TfLiteProfilerEventType type, uint64_t metric,
                   int64_t metadata1, int64_t metadata2);
};

struct TfLiteProfiler {
  const TfLiteProfilerVtable* vtable;
};

}  // extern "C"

static_assert(sizeof(TfLiteProfiler) == sizeof(void*), "TfLiteProfiler");
static_assert(offsetof(TfLiteProfilerVtable, BeginEvent) == 2 * sizeof(void*), "BeginEvent");
static_assert(offsetof(TfLiteProfilerVtable, EndEvent) == 4 * sizeof(void*), "EndEvent");
static_assert(offsetof(TfLiteProfilerVtable, AddEvent) == 5 * sizeof(void*), "AddEvent");

#endif  // INT8X_TFLITE_PROFILER_ABI_H_
