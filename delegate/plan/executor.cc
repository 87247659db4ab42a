#include "delegate/plan/executor.h"

#include <time.h>

#include <algorithm>

namespace int8x {
namespace {

// What a thread should have to do at least, in nanoseconds: a step is handed out and collected in
// about a third of one thousand.
constexpr int64_t kLeastShare = 750;
// A share of so much is cut into pieces that others can take when its thread is late.
constexpr int64_t kPiece = 4000;
constexpr int64_t kMostPieces = 4;
// A graph of less is over about as soon as a sleeping thread is awake.
constexpr int64_t kSmall = 40000;

int sharers_of(const Step& step, int threads) {
  const int64_t worth = std::min<int64_t>(step.cost() / kLeastShare, threads);
  return static_cast<int>(std::max<int64_t>(1, std::min(worth, step.tiles())));
}

int64_t grain_of(const Step& step, int sharers) {
  const int64_t pieces =
      std::max<int64_t>(1, std::min(step.cost() / sharers / kPiece, kMostPieces)) * sharers;
  return (step.tiles() + pieces - 1) / pieces;
}

int64_t now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return int64_t{t.tv_sec} * 1000000000 + t.tv_nsec;
}

struct Call {
  const Step* step;
  void* const* data;
  uint8_t* scratch;
  size_t stride;
};

void run_tiles(void* context, int64_t begin, int64_t end, int thread) {
  const Call& call = *static_cast<const Call*>(context);
  call.step->run(call.data, begin, end, call.scratch + call.stride * static_cast<size_t>(thread));
}

}  // namespace

bool Executor::load(Plan plan, int threads, bool profile) {
  if (!arena_.reserve(std::max<size_t>(plan.arena_bytes, 1))) return false;
  plan_ = std::move(plan);
  profile_ = profile;
  times_.assign(plan_.steps.size(), StepTime());
  jobs_.clear();
  threaded_ = false;
  int64_t cost = 0;
  for (const std::unique_ptr<Step>& step : plan_.steps) {
    const int sharers = sharers_of(*step, threads);
    jobs_.push_back({step.get(), step->tiles(), grain_of(*step, sharers), sharers});
    threaded_ = threaded_ || sharers > 1;
    cost += step->cost();
  }
  small_ = cost < kSmall;
  data_.assign(plan_.values.size(), nullptr);
  bound_alias_.clear();
  for (size_t v = 0; v < plan_.values.size(); ++v) {
    const Value& root = plan_.values[plan_.root(static_cast<ValueId>(v))];
    switch (root.storage) {
      case Storage::arena:
        data_[v] = arena_.data() + root.offset;
        break;
      case Storage::constant:
        data_[v] = const_cast<void*>(root.constant);
        break;
      case Storage::input:
      case Storage::output:
        if (plan_.values[v].alias >= 0) bound_alias_.push_back(static_cast<ValueId>(v));
        break;
    }
  }
  return true;
}

void Executor::run_job(const Job& job, ThreadPool::Session* session) {
  uint8_t* scratch = arena_.data() + plan_.scratch_offset;
  if (session == nullptr || job.sharers == 1) {
    job.step->run(data_.data(), 0, job.tiles, scratch);
    return;
  }
  Call call = {job.step, data_.data(), scratch, plan_.scratch_stride};
  session->run(job.tiles, job.grain, job.sharers, run_tiles, &call);
}

void Executor::clock_job(size_t step, ThreadPool::Session* session, StepObserver* observer) {
  StepTime& time = times_[step];
  const int64_t told = time.nanoseconds / 1000;
  const int64_t start = now();
  run_job(jobs_[step], session);
  time.nanoseconds += now() - start;
  ++time.runs;
  if (observer != nullptr) observer->ran(*jobs_[step].step, time.nanoseconds / 1000 - told);
}

void Executor::run(ThreadPool* pool, StepObserver* observer) {
  for (ValueId v : bound_alias_) data_[v] = data_[plan_.root(v)];
  const bool clocked = profile_ || observer != nullptr;
  const auto run_all = [this, clocked, observer](ThreadPool::Session* session) {
    for (size_t i = 0; i < jobs_.size(); ++i) {
      if (clocked) {
        clock_job(i, session, observer);
      } else {
        run_job(jobs_[i], session);
      }
    }
  };
  if (pool == nullptr || pool->threads() == 1 || !threaded_) {
    run_all(nullptr);
    return;
  }
  ThreadPool::Session session(pool, small_);
  run_all(session.threads() > 1 ? &session : nullptr);
}

}  // namespace int8x
