// Runs a finished plan in one block of memory. run() allocates nothing.

#ifndef INT8X_PLAN_EXECUTOR_H_
#define INT8X_PLAN_EXECUTOR_H_

#include <vector>

#include "delegate/base/memory.h"
#include "delegate/base/thread_pool.h"
#include "delegate/plan/plan.h"

namespace int8x {

struct StepTime {
  int64_t nanoseconds = 0;
  int64_t runs = 0;
};

// Is told of each step that has run, by the thread that called run(). Microseconds are whole: what
// is cut off one run's is added to a later one's.
class StepObserver {
 public:
  virtual void ran(const Step& step, int64_t microseconds) = 0;

 protected:
  ~StepObserver() = default;
};

class Executor {
 public:
  // Takes a plan that finish() has passed for `threads`. False when there is no memory for its
  // arena.
  bool load(Plan plan, int threads, bool profile);

  // Where a value of storage input or output lies for the next run().
  void bind(ValueId value, void* data) { data_[value] = data; }

  // `pool` and `observer` may be null.
  void run(ThreadPool* pool, StepObserver* observer = nullptr);

  const Plan& plan() const { return plan_; }
  // One for each step; of runs that were profiled or observed.
  const std::vector<StepTime>& times() const { return times_; }

 private:
  // What is asked of a step at each run, settled once.
  struct Job {
    const Step* step;
    int64_t tiles;
    int64_t grain;  // tiles that a thread takes at a time
    int sharers;    // threads that it is worth
  };

  void run_job(const Job& job, ThreadPool::Session* session);
  void clock_job(size_t step, ThreadPool::Session* session, StepObserver* observer);

  Plan plan_;
  Block arena_;
  std::vector<void*> data_;           // by value
  std::vector<ValueId> bound_alias_;  // aliases of values that bind() moves
  std::vector<Job> jobs_;             // by step
  std::vector<StepTime> times_;
  bool profile_ = false;
  bool small_ = false;
  bool threaded_ = false;  // some step is worth it; otherwise the pool is left alone
};

}  // namespace int8x

#endif  // INT8X_PLAN_EXECUTOR_H_
