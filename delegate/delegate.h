// The TFLite delegate: chooses nodes and makes one kernel for each partition.

#ifndef INT8X_DELEGATE_H_
#define INT8X_DELEGATE_H_

#include <pthread.h>

#include <vector>

#include "delegate/options.h"
#include "delegate/partition.h"

namespace int8x {

// What became of one node when a graph was offered.
struct Claim {
  int node;
  int builtin;
  const char* custom;  // the name of a custom operator; else nullptr
  int64_t macs;
  Reason refused;  // nullptr: taken
};

class Delegate {
 public:
  explicit Delegate(Options options);
  Delegate(const Delegate&) = delete;
  Delegate& operator=(const Delegate&) = delete;

  TfLiteDelegate* tflite() { return &room_.delegate; }
  static Delegate* from(TfLiteDelegate* delegate) {
    return static_cast<Delegate*>(delegate->data_);
  }

  // Deletes the delegate, now or with its last partition: Python's garbage collection may destroy a
  // delegate before the interpreter that still holds kernels of it.
  void retire();

  // Offers every node of a graph to the operators and hands the taken ones over.
  TfLiteStatus claim(TfLiteContext* context);

  // The kernel of one partition; nullptr after an error was reported.
  Partition* open(TfLiteContext* context, const TfLiteDelegateParams& params);
  void close(Partition* partition);
  TfLiteStatus prepare(TfLiteContext* context, Partition* partition);

  // JSON; see Int8xDelegateDescribe(). Times belong to invokes that are over.
  Text describe();

 private:
  ~Delegate();

  struct Graph {
    const void* context;
    std::vector<Claim> claims;
  };

  // The pool for this context's number of threads; nullptr where that is one.
  ThreadPool* pool_for(TfLiteContext* context);
  void log_claims(const Graph& graph) const;

  // Runtimes from 2.12 on read fields behind the ones we know: they find zeros.
  struct {
    TfLiteDelegate delegate;
    void* reserved[8];
  } room_ = {};
  Options options_;
  WeightCache weights_;
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;  // guards what follows
  std::vector<Graph> graphs_;
  std::vector<Partition*> partitions_;
  bool retired_ = false;
  std::vector<ThreadPool*> pools_;  // one for each number of threads that was asked for
};

}  // namespace int8x

#endif  // INT8X_DELEGATE_H_
