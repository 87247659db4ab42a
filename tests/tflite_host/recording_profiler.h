// A profiler as TensorFlow Lite declares it, which keeps the events that it is told of.

#ifndef INT8X_TESTS_TFLITE_HOST_RECORDING_PROFILER_H_
#define INT8X_TESTS_TFLITE_HOST_RECORDING_PROFILER_H_

#include <pthread.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace int8x::host {

// The virtual functions of tflite::Profiler (lite/core/api/profiler.h), in their order: what the
// compiler makes of them is what the delegate must meet.
class Profiler {
 public:
  enum class EventType {
    DEFAULT = 1,
    OPERATOR_INVOKE_EVENT = 1 << 1,
    DELEGATE_OPERATOR_INVOKE_EVENT = 1 << 2,
    DELEGATE_PROFILED_OPERATOR_INVOKE_EVENT = 1 << 3,
  };
  virtual ~Profiler() {}
  virtual uint32_t BeginEvent(const char* tag, EventType event_type, int64_t event_metadata1,
                              int64_t event_metadata2) = 0;
  virtual void EndEvent(uint32_t event_handle, int64_t event_metadata1,
                        int64_t event_metadata2) = 0;
  virtual void EndEvent(uint32_t event_handle) = 0;
  virtual void AddEvent(const char* tag, EventType event_type, uint64_t metric,
                        int64_t event_metadata1, int64_t event_metadata2) = 0;
  virtual void AddEventWithData(const char* tag, EventType event_type, const void* data) = 0;
};

class RecordingProfiler final : public Profiler {
 public:
  struct Event {
    std::string tag;
    EventType type;
    uint64_t microseconds;
    int64_t node;
    pthread_t thread;
  };
  std::vector<Event> events;
  int other_calls = 0;  // of all functions but AddEvent

  // Tag and node of each event.
  std::vector<std::pair<std::string, int64_t>> operators() const {
    std::vector<std::pair<std::string, int64_t>> out;
    for (const Event& event : events) out.push_back({event.tag, event.node});
    return out;
  }

  uint32_t BeginEvent(const char*, EventType, int64_t, int64_t) override {
    return static_cast<uint32_t>(++other_calls);
  }
  void EndEvent(uint32_t, int64_t, int64_t) override { ++other_calls; }
  void EndEvent(uint32_t) override { ++other_calls; }
  void AddEvent(const char* tag, EventType type, uint64_t metric, int64_t node, int64_t) override {
    events.push_back({tag, type, metric, node, pthread_self()});
  }
  void AddEventWithData(const char*, EventType, const void*) override { ++other_calls; }
};

}  // namespace int8x::host

#endif  // INT8X_TESTS_TFLITE_HOST_RECORDING_PROFILER_H_
