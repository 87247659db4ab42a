#include "delegate/base/thread_pool.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <new>

namespace int8x {
namespace {

inline void pause_cpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
  __asm__ volatile("yield");
#endif
}

// A worker looks for the next step this often before it sleeps: about a tenth of a millisecond.
constexpr int kSpins = 2000;

}  // namespace

// `gate` is open (bit 31) while a job may be joined, counts the workers inside it (low 16 bits) and
// the jobs so far (high 32 bits). A job is written while the gate is shut and nobody is inside.
struct ThreadPool::State {
  static constexpr uint64_t kOpen = uint64_t{1} << 31;
  static constexpr uint64_t kInside = 0xffff;
  static constexpr uint64_t kNextJob = uint64_t{1} << 32;

  std::atomic<uint64_t> gate{0};
  std::atomic<int64_t> next{0};
  std::atomic<bool> session{false};
  std::atomic<uint32_t> sessions{0};  // so far: a new one wakes the workers before its first job
  std::atomic<bool> stop{false};
  std::atomic<int> sleepers{0};
  std::atomic<int> names{1};  // the thread index that the next worker takes
  int64_t tiles = 0, grain = 1;
  Task task = nullptr;
  void* context = nullptr;

  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
  pthread_t workers[kMaxThreads];
  int worker_count = 0;
  std::atomic<pid_t> process{0};  // whose workers these are; 0 before there are any

  void work(int thread) {
    for (;;) {
      const int64_t begin = next.fetch_add(grain, std::memory_order_relaxed);
      if (begin >= tiles) return;
      task(context, begin, begin + grain < tiles ? begin + grain : tiles, thread);
    }
  }

  // Joins the job behind the open gate unless it is the one numbered `done`; false if there is
  // none.
  bool join(uint64_t* done, int thread) {
    uint64_t seen = gate.load(std::memory_order_acquire);
    while ((seen & kOpen) && (seen >> 32) != *done) {
      if (gate.compare_exchange_weak(seen, seen + 1, std::memory_order_acquire)) {
        *done = seen >> 32;
        work(thread);
        gate.fetch_sub(1, std::memory_order_release);
        return true;
      }
    }
    return false;
  }

  void serve() {
    const int thread = names.fetch_add(1);
    uint64_t done = 0;
    int idle = 0;
    while (!stop.load(std::memory_order_relaxed)) {
      if (join(&done, thread)) {
        idle = 0;
        continue;
      }
      if (++idle < kSpins) {
        pause_cpu();
        continue;
      }
      idle = 0;
      const uint32_t known = sessions.load();
      pthread_mutex_lock(&mutex);
      sleepers.fetch_add(1);
      for (;;) {
        const uint64_t seen = gate.load();
        if (stop.load() || sessions.load() != known) break;
        if ((seen & kOpen) && (seen >> 32) != done) break;
        pthread_cond_wait(&wake, &mutex);
      }
      sleepers.fetch_sub(1);
      pthread_mutex_unlock(&mutex);
    }
  }

  void wake_sleepers() {
    if (sleepers.load() == 0) return;
    pthread_mutex_lock(&mutex);
    pthread_cond_broadcast(&wake);
    pthread_mutex_unlock(&mutex);
  }

  static void* main(void* self) {
    static_cast<State*>(self)->serve();
    return nullptr;
  }
};

ThreadPool::ThreadPool(int threads)
    : state_(new (std::nothrow) State),
      threads_(threads < 1             ? 1
               : threads > kMaxThreads ? kMaxThreads
                                       : threads) {}

ThreadPool::~ThreadPool() {
  if (state_ == nullptr) return;
  if (state_->process == getpid()) {
    state_->stop.store(true);
    state_->wake_sleepers();
    // A worker that has just decided to sleep holds the mutex: the second look finds it.
    pthread_mutex_lock(&state_->mutex);
    pthread_cond_broadcast(&state_->wake);
    pthread_mutex_unlock(&state_->mutex);
    for (int i = 0; i < state_->worker_count; ++i) pthread_join(state_->workers[i], nullptr);
  }
  delete state_;
}

// Called by the one session that holds the pool. In a forked child the parent's workers do not
// exist and its locks may be held by nobody: the state is made anew.
bool ThreadPool::start() {
  const pid_t process = getpid();
  if (state_->process == process) return state_->worker_count > 0;
  if (state_->process != 0) {
    new (state_) State;
    state_->session.store(true);
  }
  state_->process = process;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  for (int i = 0; i + 1 < threads_; ++i) {
    if (pthread_create(&state_->workers[i], &attributes, State::main, state_) != 0) break;
    ++state_->worker_count;
  }
  pthread_attr_destroy(&attributes);
  return state_->worker_count > 0;
}

ThreadPool::Session::Session(ThreadPool* pool) : pool_(nullptr) {
  if (pool == nullptr || pool->threads_ == 1 || pool->state_ == nullptr) return;
  if (pool->state_->session.exchange(true, std::memory_order_acquire)) {
    // Busy, unless this is a child that was forked while its parent ran.
    const pid_t process = pool->state_->process.load();
    if (process == getpid() || process == 0) return;
  }
  if (pool->start()) {
    pool_ = pool;
    pool->state_->sessions.fetch_add(1);
    pool->state_->wake_sleepers();
  } else {
    pool->state_->session.store(false, std::memory_order_release);
  }
}

ThreadPool::Session::~Session() {
  if (pool_ != nullptr) pool_->state_->session.store(false, std::memory_order_release);
}

void ThreadPool::Session::run(int64_t tiles, int64_t grain, Task task, void* context) {
  if (pool_ == nullptr || tiles <= grain) {
    if (tiles > 0) task(context, 0, tiles, 0);
    return;
  }
  State& s = *pool_->state_;
  s.tiles = tiles;
  s.grain = grain;
  s.task = task;
  s.context = context;
  s.next.store(0, std::memory_order_relaxed);
  s.gate.store(((s.gate.load() >> 32) + 1) * State::kNextJob | State::kOpen);
  s.wake_sleepers();
  s.work(0);
  s.gate.fetch_and(~State::kOpen);
  for (int spins = 0; (s.gate.load(std::memory_order_acquire) & State::kInside) != 0; ++spins) {
    if (spins < kSpins) {
      pause_cpu();
    } else {
      sched_yield();
    }
  }
}

}  // namespace int8x
