// The thread pool does each tile once, serves one run at a time, survives fork() and sleeps when
// nothing runs.

#include "delegate/base/thread_pool.h"

#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace int8x {
namespace {

struct Count {
  explicit Count(int64_t tiles) : done(static_cast<size_t>(tiles)) {}
  std::vector<std::atomic<int>> done;
  std::atomic<uint64_t> threads{0};  // a bit for each thread index that took part
};

void count(void* context, int64_t begin, int64_t end, int thread) {
  Count& c = *static_cast<Count*>(context);
  c.threads |= uint64_t{1} << thread;
  for (int64_t i = begin; i < end; ++i) ++c.done[static_cast<size_t>(i)];
}

bool each_tile_once(ThreadPool* pool, int64_t tiles, int64_t grain, int sharers = 64) {
  Count c(tiles);
  ThreadPool::Session session(pool);
  session.run(tiles, grain, sharers, count, &c);
  for (const std::atomic<int>& done : c.done) {
    if (done != 1) return false;
  }
  return (c.threads >> pool->threads()) == 0;
}

TEST(ThreadPool, DoesEachTileOnceForEveryNumberOfThreadsTilesAndGrain) {
  for (int threads : {1, 2, 3, 4, 8}) {
    ThreadPool pool(threads);
    for (int64_t tiles : {0, 1, 2, 3, 7, 64, 1000}) {
      for (int64_t grain : {1, 2, 5, 100}) {
        for (int sharers : {1, 2, 3, 64}) {
          ASSERT_TRUE(each_tile_once(&pool, tiles, grain, sharers))
              << threads << " " << tiles << " " << grain << " " << sharers;
        }
      }
    }
  }
}

TEST(ThreadPool, RunsManyStepsInOneSession) {
  ThreadPool pool(4);
  ThreadPool::Session session(&pool);
  for (int step = 0; step < 5000; ++step) {
    Count c(9);
    session.run(9, 1, 4, count, &c);
    for (const std::atomic<int>& done : c.done) ASSERT_EQ(done, 1) << "step " << step;
  }
}

// More tiles than the pieces of a share can be counted.
TEST(ThreadPool, TakesMoreTilesThanItCounts) {
  ThreadPool pool(2);
  ASSERT_TRUE(each_tile_once(&pool, 300001, 1));
}

struct Parts {
  static constexpr int64_t kTiles = 40;
  std::atomic<int> by[kTiles] = {};
};

// Holds up each thread until all are there, so that each takes one part.
TEST(ThreadPool, EachThreadBeginsWithItsOwnPart) {
  constexpr int kThreads = 4;
  struct Meeting : Parts {
    std::atomic<int> come{0};
  };
  // Now and then one is late, and another takes its part; of parts that any may take, each would
  // get its own once in 24 rounds.
  constexpr int kRounds = 40;
  int own = 0;
  ThreadPool pool(kThreads);
  for (int round = 0; round < kRounds; ++round) {
    Meeting m;
    ThreadPool::Session session(&pool);
    session.run(
        Parts::kTiles, Parts::kTiles, kThreads,
        [](void* context, int64_t begin, int64_t end, int thread) {
          Meeting& meeting = *static_cast<Meeting*>(context);
          ++meeting.come;
          while (meeting.come < kThreads) usleep(10);
          for (int64_t i = begin; i < end; ++i) meeting.by[i] = thread;
        },
        &m);
    int64_t right = 0;
    for (int64_t i = 0; i < Parts::kTiles; ++i) {
      right += m.by[i] == i / (Parts::kTiles / kThreads);
    }
    own += right == Parts::kTiles;
  }
  EXPECT_GT(own, kRounds / 2);
}

// A thread that does not come in time loses its share to those that are there.
TEST(ThreadPool, AThreadThatIsLateHoldsNobodyUp) {
  struct Late {
    std::atomic<int> done{0};
    std::atomic<bool> came{false};
  };
  ThreadPool pool(2);
  ThreadPool::Session session(&pool);
  bool came = false;
  for (int round = 0; round < 100000 && !came; ++round) {
    Late late;
    session.run(
        64, 1, 2,
        [](void* context, int64_t begin, int64_t end, int thread) {
          Late& l = *static_cast<Late*>(context);
          l.done += static_cast<int>(end - begin);
          if (thread != 1 || l.came.exchange(true)) return;
          // The caller does all the rest while this piece lasts.
          for (int i = 0; i < 100000 && l.done < 64; ++i) usleep(100);
          EXPECT_EQ(l.done, 64);
        },
        &late);
    ASSERT_EQ(late.done, 64);
    came = late.came;
  }
  EXPECT_TRUE(came) << "the second thread never came";
}

// A sleeper takes longer to wake than this run takes.
TEST(ThreadPool, SmallRunsStopWakingSleepersInVain) {
  ThreadPool pool(2);
  int alone = 0;
  for (int i = 0; i < 40; ++i) {
    usleep(2000);
    Count c(2);
    ThreadPool::Session session(&pool, true);
    session.run(2, 1, 2, count, &c);
    for (const std::atomic<int>& done : c.done) ASSERT_EQ(done, 1);
    alone += session.threads() == 1;
  }
  EXPECT_GT(alone, 10);
  ThreadPool::Session session(&pool);
  EXPECT_EQ(session.threads(), 2) << "a large run wakes them all the same";
}

TEST(ThreadPool, WithoutAPoolTheCallerDoesItAll) {
  Count c(10);
  ThreadPool::Session session(nullptr);
  EXPECT_EQ(session.threads(), 1);
  session.run(10, 1, 4, count, &c);
  for (const std::atomic<int>& done : c.done) EXPECT_EQ(done, 1);
  EXPECT_EQ(c.threads, 1u);
}

TEST(ThreadPool, ABusyPoolLeavesTheSecondCallerToItself) {
  ThreadPool pool(2);
  ThreadPool::Session first(&pool);
  ThreadPool::Session second(&pool);
  EXPECT_EQ(first.threads(), 2);
  EXPECT_EQ(second.threads(), 1);
}

TEST(ThreadPool, ManyCallersAtOnceEachGetAllTheirTiles) {
  ThreadPool pool(3);
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int t = 0; t < 4; ++t) {
    callers.emplace_back([&pool, &wrong] {
      for (int i = 0; i < 300; ++i) {
        if (!each_tile_once(&pool, 17, 1)) ++wrong;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
}

TEST(ThreadPool, WorksInAForkedChild) {
  ThreadPool pool(2);
  ASSERT_TRUE(each_tile_once(&pool, 100, 1));
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    for (int i = 0; i < 10; ++i) {
      if (!each_tile_once(&pool, 100, 1)) _exit(1);
    }
    _exit(0);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_TRUE(each_tile_once(&pool, 100, 1));
}

TEST(ThreadPool, WorksInAChildForkedWhileItRan) {
  ThreadPool pool(2);
  pid_t child = -1;
  {
    ThreadPool::Session session(&pool);
    child = fork();
    if (child == 0) {
      Count c(100);
      ThreadPool::Session own(&pool);
      own.run(100, 1, 2, count, &c);
      for (const std::atomic<int>& done : c.done) {
        if (done != 1) _exit(1);
      }
      _exit(own.threads() == 2 ? 0 : 2);
    }
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(ThreadPool, SleepsWhenNothingRuns) {
  ThreadPool pool(4);
  ASSERT_TRUE(each_tile_once(&pool, 100, 1));
  usleep(20000);
  timespec before, after;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
  usleep(200000);
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
  const double used = static_cast<double>(after.tv_sec - before.tv_sec) +
                      static_cast<double>(after.tv_nsec - before.tv_nsec) * 1e-9;
  EXPECT_LT(used, 0.02) << "seconds of CPU in 0.2 s of rest";
}

}  // namespace
}  // namespace int8x
