// One job at a time for a few threads: its tiles are cut into a share for each thread, neighbours
// in every job, so that what a thread wrote in the last step lies in its own cache. A share is
// taken in pieces, by its own thread or, when that one is late, by others.
//
// Handing out a job costs one cache line from the caller to each thread, and one back: what a
// thread changes while it works lies in lines of its own. Nobody waits for a thread that has not
// come: its share is claimed piece by piece like any other.

#ifndef INT8X_BASE_WORK_SHARES_H_
#define INT8X_BASE_WORK_SHARES_H_

#include <atomic>
#include <cstdint>

namespace int8x {

class WorkShares {
 public:
  // Works on tiles [begin, end) as thread `thread`.
  using Task = void (*)(void* context, int64_t begin, int64_t end, int thread);

  static constexpr int kMaxThreads = 64;
  // Two lines: processors fetch them in pairs.
  static constexpr int kApart = 128;

  explicit WorkShares(int threads) : threads_(threads) {}

  // The caller, thread 0, when the job before is finished: opens a job for the first `sharers`
  // threads and takes the first piece of the share of its own, which own_first_piece() runs.
  void open(int64_t tiles, int64_t grain, int sharers, Task task, void* context);
  void own_first_piece();

  // Whether every piece of the last job is done. The caller's question.
  bool finished() const;

  // The number of the last job that was opened; another number means another job.
  uint64_t number() const { return job_.number.load(std::memory_order_acquire); }

  // Takes pieces of the share of `owner` as thread `thread` until none is left, and says whether it
  // took one.
  bool work(int owner, int thread);

  // Pieces that thread `thread` has done, ever.
  uint64_t done(int thread) const { return lanes_[thread].done.load(std::memory_order_acquire); }

 private:
  // Written by the caller. `number` is odd while the rest is being written.
  struct alignas(kApart) Job {
    std::atomic<uint64_t> number{0};
    std::atomic<int64_t> tiles{0}, grain{1};
    std::atomic<int> sharers{1};
    std::atomic<Task> task{nullptr};
    std::atomic<void*> context{nullptr};
  };
  struct alignas(kApart) Lane {
    // The last job of which a piece of this share was taken, and how many (low 16 bits).
    std::atomic<uint64_t> taken{0};
    alignas(kApart) std::atomic<uint64_t> done{0};
  };
  static constexpr int kTakenBits = 16;
  static constexpr int64_t kMostPieces = 0xffff;

  Job job_;
  Lane lanes_[kMaxThreads];
  alignas(kApart) uint64_t wanted_ = 0;  // pieces of all jobs so far
  const int threads_;
};

}  // namespace int8x

#endif  // INT8X_BASE_WORK_SHARES_H_
