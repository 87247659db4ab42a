#include "delegate/base/thread_pool.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "delegate/base/affinity.h"
#include "delegate/base/work_shares.h"

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
// And this often before it takes another thread's pieces: about a microsecond.
constexpr int kPatience = 32;
// Small graphs that wake workers in vain do so ever more rarely, up to once in 2^kMostMisses.
constexpr int kMostMisses = 4;

}  // namespace

static_assert(ThreadPool::kMaxThreads == WorkShares::kMaxThreads, "a share for each thread");

// What callers write at every run lies apart from what spinning workers read.
struct ThreadPool::State {
  explicit State(int threads) : shares(threads), threads(threads) {}

  WorkShares shares;
  std::atomic<bool> session{false};
  // Somebody did the work of a thread that had not come: the caller does not wait for it next time.
  bool absent = false;
  // Of each worker: the pieces that it had done when the last session began, and the CPU that it is
  // kept off (-1: none).
  struct Attendance {
    uint64_t done = 0;
    int kept_off = -1;
  };
  Attendance attendance[kMaxThreads];
  // Sessions in a row for which workers were woken in vain, and those that have not woken them
  // since; whether this one may.
  int misses = 0, skipped = 0;
  bool waking = false;

  alignas(WorkShares::kApart) std::atomic<bool> stop{false};
  std::atomic<int> sleepers{0};
  std::atomic<int> names{1};      // the thread index that the next worker takes
  std::atomic<pid_t> process{0};  // whose workers these are; 0 before there are any
  const int threads;

  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
  uint32_t wakes = 0;  // so far, under the mutex
  pthread_t workers[kMaxThreads];
  int worker_count = 0;
  std::atomic<int32_t> ids[kMaxThreads] = {};  // of the workers, by thread index; 0 before they run

  bool help(int thread) {
    bool helped = false;
    for (int i = 1; i < threads; ++i) {
      if (shares.work((thread + i) % threads, thread)) helped = true;
    }
    return helped;
  }

  void serve() {
    const int thread = names.fetch_add(1);
    ids[thread].store(this_thread(), std::memory_order_relaxed);
    uint64_t seen = 0;
    int idle = 0;
    while (!stop.load(std::memory_order_relaxed)) {
      const uint64_t number = shares.number();
      if (number != seen && number % 2 == 0) {
        seen = number;
        shares.work(thread, thread);
        idle = 0;
        continue;
      }
      if (++idle == kPatience) help(thread);
      if (idle < kSpins) {
        pause_cpu();
        continue;
      }
      sleep(seen);
      idle = 0;
    }
  }

  void sleep(uint64_t seen) {
    pthread_mutex_lock(&mutex);
    sleepers.fetch_add(1);
    const uint32_t known = wakes;
    while (!stop.load() && wakes == known && shares.number() == seen) {
      pthread_cond_wait(&wake, &mutex);
    }
    sleepers.fetch_sub(1);
    pthread_mutex_unlock(&mutex);
  }

  // A worker that falls asleep just now is missed. That loses no work: others do its share.
  void wake_sleepers() {
    if (sleepers.load(std::memory_order_relaxed) == 0) return;
    pthread_mutex_lock(&mutex);
    ++wakes;
    pthread_cond_broadcast(&wake);
    pthread_mutex_unlock(&mutex);
  }

  // False where the caller should not count on anybody: everybody sleeps, and waking them for so
  // little work has been in vain lately.
  bool begin_session(bool small) {
    const bool attended = take_attendance();
    if (attended) {
      misses = 0;
    } else if (waking && misses < kMostMisses) {
      ++misses;
    }
    const int asleep = sleepers.load(std::memory_order_relaxed);
    waking = !small || asleep == 0 || misses == 0 || ++skipped >= 1 << misses;
    if (!waking) return asleep < worker_count;
    skipped = 0;
    wake_sleepers();
    return true;
  }

  // Whether anybody worked in the last session. A worker that did not may be waiting for the
  // caller's own CPU.
  bool take_attendance() {
    const int cpu = current_cpu();
    bool attended = false;
    for (int i = 1; i <= worker_count; ++i) {
      Attendance& a = attendance[i];
      const uint64_t done = shares.done(i);
      const int32_t id = ids[i].load(std::memory_order_relaxed);
      if (done != a.done) {
        attended = true;
      } else if (a.kept_off != cpu && id != 0) {
        keep_off(id, cpu, &a.kept_off);
      }
      a.done = done;
    }
    return attended;
  }

  void run(int64_t tiles, int64_t grain, int sharers, Task task, void* context) {
    shares.open(tiles, grain, sharers, task, context);
    if (waking) wake_sleepers();
    shares.own_first_piece();
    shares.work(0, 0);
    const int patience = absent ? 0 : kPatience;
    absent = false;
    for (int spins = 0; !shares.finished(); ++spins) {
      if (spins == patience) absent = help(0);
      if (spins < kSpins) {
        pause_cpu();
      } else {
        sched_yield();
      }
    }
  }

  static void* main(void* self) {
    static_cast<State*>(self)->serve();
    return nullptr;
  }

  static State* make(int threads) {
    void* memory = nullptr;
    if (posix_memalign(&memory, alignof(State), sizeof(State)) != 0) return nullptr;
    return new (memory) State(threads);
  }
};

ThreadPool::ThreadPool(int threads)
    : threads_(threads < 1             ? 1
               : threads > kMaxThreads ? kMaxThreads
                                       : threads),
      state_(State::make(threads_)) {}

ThreadPool::~ThreadPool() {
  if (state_ == nullptr) return;
  if (state_->process == getpid()) {
    pthread_mutex_lock(&state_->mutex);
    state_->stop.store(true);
    pthread_cond_broadcast(&state_->wake);
    pthread_mutex_unlock(&state_->mutex);
    for (int i = 0; i < state_->worker_count; ++i) pthread_join(state_->workers[i], nullptr);
  }
  state_->~State();
  std::free(state_);
}

// Called by the one session that holds the pool. In a forked child the parent's workers do not
// exist and its locks may be held by nobody: the state is made anew.
bool ThreadPool::start() {
  const pid_t process = getpid();
  if (state_->process == process) return state_->worker_count > 0;
  if (state_->process != 0) {
    new (state_) State(threads_);
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

ThreadPool::Session::Session(ThreadPool* pool, bool small) : pool_(nullptr) {
  if (pool == nullptr || pool->threads_ == 1 || pool->state_ == nullptr) return;
  if (pool->state_->session.exchange(true, std::memory_order_acquire)) {
    // Busy, unless this is a child that was forked while its parent ran.
    const pid_t process = pool->state_->process.load();
    if (process == getpid() || process == 0) return;
  }
  if (pool->start() && pool->state_->begin_session(small)) {
    pool_ = pool;
  } else {
    pool->state_->session.store(false, std::memory_order_release);
  }
}

ThreadPool::Session::~Session() {
  if (pool_ != nullptr) pool_->state_->session.store(false, std::memory_order_release);
}

void ThreadPool::Session::run(int64_t tiles, int64_t grain, int sharers, Task task, void* context) {
  if (sharers > threads()) sharers = threads();
  if (sharers <= 1 || tiles <= 1) {
    if (tiles > 0) task(context, 0, tiles, 0);
    return;
  }
  pool_->state_->run(tiles, grain, sharers, task, context);
}

}  // namespace int8x
