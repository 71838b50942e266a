#include "runtime/core/thread_pool.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <numeric>
#include <random>
#include <set>
#include <vector>

#include "runtime/core/cpus.h"
#include "runtime/core/error.h"

namespace strata {
namespace {

// Each thread writes its own cells without any lock: what run() promises must order them.
void check_runs(ThreadPool& pool, int runs) {
  const auto threads = static_cast<std::size_t>(pool.size());
  std::vector<long> cells(threads * 64);
  for (int i = 0; i < runs; ++i) {
    pool.run([&](int thread, int count) {
      ASSERT_EQ(count, pool.size());
      cells[static_cast<std::size_t>(thread) * 64] += i + 1;
    });
    long sum = 0;
    for (std::size_t t = 0; t < threads; ++t) sum += cells[t * 64];
    ASSERT_EQ(sum, static_cast<long>(threads) * (i + 1) * (i + 2) / 2) << "after run " << i;
  }
}

TEST(ThreadPool, RunsEveryThreadOnceWithAnyNumberOfThreads) {
  for (int threads = 1; threads <= 8; ++threads) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.size(), threads);
    check_runs(pool, 400);
  }
}

TEST(ThreadPool, SurvivesThousandsOfRuns) {
  ThreadPool pool(2);
  check_runs(pool, 4000);
}

// Shares that end only when all have begun: each needs a thread of its own.
std::set<std::thread::id> meet(ThreadPool& pool) {
  std::vector<std::thread::id> ids(static_cast<std::size_t>(pool.size()));
  std::atomic<int> begun{0};
  pool.run([&](int share, int threads) {
    ids[static_cast<std::size_t>(share)] = std::this_thread::get_id();
    begun.fetch_add(1);
    while (begun.load() < threads) std::this_thread::yield();
  });
  return {ids.begin(), ids.end()};
}

TEST(ThreadPool, EveryShareCanHaveAThreadOfItsOwn) {
  ThreadPool pool(3);
  const std::set<std::thread::id> ids = meet(pool);
  EXPECT_EQ(ids.size(), 3U);
  EXPECT_TRUE(ids.contains(std::this_thread::get_id()));
}

TEST(ThreadPool, SleepsWhenIdleAndWakesAgain) {
  ThreadPool pool(3);
  for (std::uint64_t round = 1; round <= 20; ++round) {
    meet(pool);
    const std::uint64_t before = pool.sleeps();
    // Nobody may spin for ever: within a second both workers are asleep.
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (pool.sleeping() < 2 && std::chrono::steady_clock::now() < deadline)
      std::this_thread::yield();
    ASSERT_EQ(pool.sleeping(), 2) << "round " << round << ", sleeps before " << before;
  }
  EXPECT_GE(pool.sleeps(), 40U);
}

TEST(ThreadPool, DoesNotSleepBetweenTheOpsOfAToken) {
  if (usable_cpus() < 2) GTEST_SKIP() << "needs two CPUs";
  ThreadPool pool(2);
  // While others take our CPUs away, threads rightly sleep. So: a stretch of runs without that is
  // seen sooner or later; a pool that sleeps for each run shows none.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  std::uint64_t slept = 0;
  do {
    const std::uint64_t before = pool.sleeps();
    for (int i = 0; i < 1000; ++i) pool.run([](int, int) {});
    slept = pool.sleeps() - before;
  } while (slept > 50 && std::chrono::steady_clock::now() < deadline);
  EXPECT_LE(slept, 50U) << "of 1000 runs";
}

TEST(ThreadPool, CanBeMadeAndDestroyedAtOnce) {
  for (int i = 0; i < 200; ++i) ThreadPool pool(1 + i % 5);
}

TEST(ThreadPool, MovesWithItsCallerToAnotherThread) {
  ThreadPool pool(2);
  check_runs(pool, 10);
  std::thread other([&] { check_runs(pool, 10); });
  other.join();
  check_runs(pool, 10);
}

// Regions of random size on a random part of the pool, each item of which must be run once, by a
// thread that runs nothing else meanwhile.
TEST(ThreadPool, RunsEveryItemOnce) {
  std::mt19937 random(7);
  for (int size = 1; size <= 8; ++size) {
    ThreadPool pool(size);
    std::vector<std::vector<std::uint8_t>> runs(static_cast<std::size_t>(size));
    std::vector<int> inside(static_cast<std::size_t>(size) * 32);
    for (int region = 0; region < 300; ++region) {
      const int threads = 1 + static_cast<int>(random() % static_cast<unsigned>(size));
      for (auto& own : runs) own.assign(random() % 3 == 0 ? 0 : random() % 40, 0);
      pool.run_items(
          threads,
          [&](int owner) {
            return static_cast<std::uint32_t>(runs[static_cast<std::size_t>(owner)].size());
          },
          [&](int thread, int owner, std::uint32_t item) {
            int& here = inside[static_cast<std::size_t>(thread) * 32];
            EXPECT_EQ(++here, 1);
            ++runs[static_cast<std::size_t>(owner)][item];
            --here;
          });
      for (std::size_t owner = 0; owner < runs.size(); ++owner)
        for (std::uint8_t times : runs[owner])
          ASSERT_EQ(times, owner < static_cast<std::size_t>(threads) ? 1 : 0)
              << size << " threads, region " << region;
    }
  }
}

// A thread that does not come back from an item until all others are done holds up nothing else.
TEST(ThreadPool, OthersDoWhatAThreadDoesNotComeTo) {
  for (const bool caller_is_held : {false, true}) {
    ThreadPool pool(2);
    const std::thread::id caller = std::this_thread::get_id();
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    const auto in_time = [&] { return std::chrono::steady_clock::now() < deadline; };
    std::atomic<int> left{20};
    std::atomic<bool> held{false};
    int left_at_end = 20;
    pool.run_items(
        2, [](int) { return 10U; },
        [&](int, int, std::uint32_t) {
          const bool hold = (std::this_thread::get_id() == caller) == caller_is_held;
          if (hold && !held.exchange(true)) {
            while (left.load() > 1 && in_time()) std::this_thread::yield();
            left_at_end = left.load();
          }
          while (!hold && !held.load() && in_time()) std::this_thread::yield();
          left.fetch_sub(1);
        });
    EXPECT_EQ(left.load(), 0);
    EXPECT_EQ(left_at_end, 1) << "items waited for the thread that was held";
  }
}

TEST(ThreadPool, WorkersStayWhereTheyBelong) {
  const int last = allowed_cpus().back();
  ThreadPool pool(2, {{}, {last}});
  const std::thread::id caller = std::this_thread::get_id();
  std::vector<int> of_worker;
  std::atomic<int> begun{0};
  pool.run([&](int, int) {
    if (std::this_thread::get_id() != caller) of_worker = allowed_cpus();
    begun.fetch_add(1);
    while (begun.load() < 2) std::this_thread::yield();
  });
  EXPECT_EQ(of_worker, std::vector<int>({last}));
}

// Threads that a region does without sleep while it and others like it run, and wake again.
TEST(ThreadPool, ThreadsWithoutAPartSleep) {
  ThreadPool pool(4);
  for (int round = 0; round < 20; ++round) {
    meet(pool);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    do pool.run(2, [](int, int) {});
    while (pool.sleeping() < 2 && std::chrono::steady_clock::now() < deadline);
    ASSERT_GE(pool.sleeping(), 2) << "round " << round;
  }
}

TEST(UsableCpus, HonoursTheInheritedAffinity) {
  cpu_set_t all;
  ASSERT_EQ(sched_getaffinity(0, sizeof(all), &all), 0);
  EXPECT_GE(usable_cpus(), 1);
  EXPECT_LE(usable_cpus(), CPU_COUNT(&all));
  int first = 0;
  while (!CPU_ISSET(first, &all)) ++first;
  // The mask belongs to a thread: this one is restricted, the test's own is not.
  std::thread restricted([first] {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    EXPECT_EQ(usable_cpus(), 1);
    ThreadPool pool(3);  // more threads than CPUs: they take turns instead of spinning
    check_runs(pool, 200);
  });
  restricted.join();
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// In a child whose address space has no room for that many stacks.
TEST(ThreadPool, SaysWhenTheSystemRefusesAThread) {
  const pid_t child = fork();
  if (child == 0) {
    const rlimit limit{512UL << 20, 512UL << 20};
    setrlimit(RLIMIT_AS, &limit);
    try {
      ThreadPool pool(1000);
      _exit(2);
    } catch (const Error& e) {
      const bool named =
          e.subject() == "thread pool" && e.detail().find("of 1000") != std::string::npos;
      _exit(e.code() == ErrorCode::runtime && named ? 0 : 3);
    }
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}
#endif

TEST(ShareOf, CoversEveryItemOnceInUnitsOfTheGrain) {
  for (std::int64_t count : {0, 1, 2, 7, 16, 100, 4096, 4097}) {
    for (std::int64_t grain : {1, 4, 16, 64}) {
      for (int threads = 1; threads <= 9; ++threads) {
        std::int64_t next = 0;
        for (int t = 0; t < threads; ++t) {
          const Share share = share_of(count, grain, t, threads);
          ASSERT_EQ(share.begin, next);
          ASSERT_LE(share.begin, share.end);
          ASSERT_TRUE(share.end % grain == 0 || share.end == count);
          // Fair: nobody has more than one unit above the average.
          ASSERT_LE(share.end - share.begin, ((count + grain - 1) / grain / threads + 1) * grain);
          next = share.end;
        }
        ASSERT_EQ(next, count);
      }
    }
  }
}

}  // namespace
}  // namespace strata
