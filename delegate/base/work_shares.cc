#include "delegate/base/work_shares.h"

namespace int8x {
namespace {

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The first ones are larger by one where the tiles do not divide.
int64_t share_begin(int64_t tiles, int sharers, int owner) {
  const int64_t larger = tiles % sharers;
  return tiles / sharers * owner + (larger < owner ? larger : int64_t{owner});
}

}  // namespace

void WorkShares::open(int64_t tiles, int64_t grain, int sharers, Task task, void* context) {
  const int64_t share = tiles / sharers, larger = tiles % sharers;
  const int64_t least = divide_up(share + 1, kMostPieces);
  if (grain < least) grain = least;
  wanted_ += static_cast<uint64_t>(larger * divide_up(share + 1, grain) +
                                   (sharers - larger) * divide_up(share, grain));
  const uint64_t number = job_.number.load(std::memory_order_relaxed) + 2;
  job_.number.store(number - 1, std::memory_order_relaxed);
  // Released one by one: who reads one of these and then an unchanged number has read them all.
  job_.tiles.store(tiles, std::memory_order_release);
  job_.grain.store(grain, std::memory_order_release);
  job_.sharers.store(sharers, std::memory_order_release);
  job_.task.store(task, std::memory_order_release);
  job_.context.store(context, std::memory_order_release);
  // No locked instruction here: it would wait until the others have given up the job's line.
  lanes_[0].taken.store(number << kTakenBits | 1, std::memory_order_relaxed);
  job_.number.store(number, std::memory_order_release);
}

void WorkShares::own_first_piece() {
  const int64_t grain = job_.grain.load(std::memory_order_relaxed);
  const int64_t end = share_begin(job_.tiles.load(std::memory_order_relaxed),
                                  job_.sharers.load(std::memory_order_relaxed), 1);
  const Task task = job_.task.load(std::memory_order_relaxed);
  task(job_.context.load(std::memory_order_relaxed), 0, grain < end ? grain : end, 0);
  std::atomic<uint64_t>& done = lanes_[0].done;
  done.store(done.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

bool WorkShares::finished() const {
  uint64_t sum = 0;
  for (int i = 0; i < threads_; ++i) sum += done(i);
  return sum == wanted_;
}

bool WorkShares::work(int owner, int thread) {
  const uint64_t number = job_.number.load(std::memory_order_acquire);
  if (number & 1) return false;
  const int64_t tiles = job_.tiles.load(std::memory_order_acquire);
  const int64_t grain = job_.grain.load(std::memory_order_acquire);
  const int sharers = job_.sharers.load(std::memory_order_acquire);
  const Task task = job_.task.load(std::memory_order_acquire);
  void* const context = job_.context.load(std::memory_order_acquire);
  if (job_.number.load(std::memory_order_relaxed) != number) return false;

  if (owner >= sharers) return false;
  const int64_t begin = share_begin(tiles, sharers, owner);
  const int64_t end = share_begin(tiles, sharers, owner + 1);
  const uint64_t pieces = static_cast<uint64_t>(divide_up(end - begin, grain));
  std::atomic<uint64_t>& taken = lanes_[owner].taken;
  uint64_t mine = 0;
  uint64_t seen = taken.load(std::memory_order_relaxed);
  for (;;) {
    const uint64_t last = seen >> kTakenBits;
    const uint64_t piece = last < number ? 0 : seen & kMostPieces;
    if (last > number || piece >= pieces) break;
    // Success means that the job is not finished, and so that what was read above is this job's.
    if (!taken.compare_exchange_weak(seen, number << kTakenBits | (piece + 1),
                                     std::memory_order_relaxed)) {
      continue;
    }
    const int64_t from = begin + static_cast<int64_t>(piece) * grain;
    task(context, from, from + grain < end ? from + grain : end, thread);
    ++mine;
    seen = number << kTakenBits | (piece + 1);
  }
  if (mine > 0) {
    std::atomic<uint64_t>& done = lanes_[thread].done;
    done.store(done.load(std::memory_order_relaxed) + mine, std::memory_order_release);
  }
  return mine > 0;
}

}  // namespace int8x
