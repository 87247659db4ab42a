// Splits the tiles of one step over a few threads.
//
// Workers start on first use, look for work for about a tenth of a millisecond after their last
// job, then sleep until the next run of a graph. A pool serves one run at a time: a caller who
// finds it busy works alone, so a pool can be shared by interpreters in several threads. After
// fork() the child starts workers of its own.

#ifndef INT8X_BASE_THREAD_POOL_H_
#define INT8X_BASE_THREAD_POOL_H_

#include <cstdint>

namespace int8x {

class ThreadPool {
 public:
  // Works on tiles [begin, end) as thread `thread` (0 is the caller) of the pool.
  using Task = void (*)(void* context, int64_t begin, int64_t end, int thread);

  static constexpr int kMaxThreads = 64;

  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }

  // Holds the pool for the many run() calls of one graph.
  class Session {
   public:
    // `pool` may be null: then everything runs in the caller. So it does where the graph is small,
    // over about as soon as a sleeping thread is awake, and waking them has been in vain lately.
    explicit Session(ThreadPool* pool, bool small = false);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    // How many threads run() uses: 1 when the pool was busy or is better left alone.
    int threads() const { return pool_ == nullptr ? 1 : pool_->threads_; }

    // Calls `task` until each tile in [0, tiles) was done once, and returns when all are done. Each
    // of the first `sharers` threads begins with the tiles at its own part of the range, `grain` at
    // a time; threads that have nothing to do help those that are late.
    void run(int64_t tiles, int64_t grain, int sharers, Task task, void* context);

   private:
    ThreadPool* pool_;
  };

 private:
  struct State;
  const int threads_;
  State* state_;  // null when there was no memory
  bool start();
};

}  // namespace int8x

#endif  // INT8X_BASE_THREAD_POOL_H_
