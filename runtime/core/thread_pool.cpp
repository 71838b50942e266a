#include "runtime/core/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <system_error>

#include "runtime/core/cgroup.h"
#include "runtime/core/error.h"

namespace strata {
namespace {

// Longer than any gap between two ops of a token.
constexpr std::chrono::microseconds kSpinTime{100};
// With more threads than CPUs a spinning thread only keeps the one it waits for from running.
constexpr std::chrono::microseconds kSpinTimeOversubscribed{0};
// Pauses between two looks at the clock: one lasts from 1 to 140 cycles, depending on the CPU.
constexpr int kPausesPerLook = 64;

void pause_cpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Waits for `done` for about `limit`; false when the time ran out.
template <class Done>
bool spin(std::chrono::nanoseconds limit, const Done& done) {
  using Clock = std::chrono::steady_clock;
  Clock::time_point deadline{};
  for (;;) {
    for (int i = 0; i < kPausesPerLook; ++i) {
      if (done()) return true;
      pause_cpu();
    }
    const Clock::time_point now = Clock::now();
    if (deadline == Clock::time_point{})
      deadline = now + limit;
    else if (now >= deadline)
      return false;
  }
}

}  // namespace

int usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  int cpus = static_cast<int>(std::thread::hardware_concurrency());
  if (sched_getaffinity(0, sizeof(set), &set) == 0) cpus = CPU_COUNT(&set);
  const int granted = cgroup_cpu_limit();
  if (granted > 0) cpus = std::min(cpus, granted);
  return std::max(cpus, 1);
}

ThreadPool::ThreadPool(int threads) {
  spin_time_ = threads <= usable_cpus() ? kSpinTime : kSpinTimeOversubscribed;
  workers_.reserve(static_cast<std::size_t>(std::max(threads - 1, 0)));
  try {
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { work(i); });
  } catch (const std::system_error& e) {
    const std::size_t started = workers_.size() + 1;
    stop();
    throw Error(ErrorCode::runtime, "thread pool",
                "the system refused thread " + std::to_string(started + 1) + " of " +
                    std::to_string(threads) + " (" + e.what() + ")",
                "ask for fewer with --threads");
  }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() {
  stopping_ = true;
  generation_.fetch_add(1, std::memory_order_seq_cst);
  generation_.notify_all();
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
}

std::uint32_t ThreadPool::await_generation(std::uint32_t seen) {
  std::uint32_t now = seen;
  const auto moved = [&] { return (now = generation_.load(std::memory_order_acquire)) != seen; };
  if (spin(spin_time_, moved)) return now;
  // Sequentially consistent with the caller's increment and its look at sleepers_: either the
  // caller sees the sleeper and notifies, or the sleeper sees the new generation.
  sleepers_.fetch_add(1, std::memory_order_seq_cst);
  sleeps_.fetch_add(1, std::memory_order_relaxed);
  now = generation_.load(std::memory_order_seq_cst);
  while (now == seen) {
    generation_.wait(seen, std::memory_order_acquire);
    now = generation_.load(std::memory_order_acquire);
  }
  sleepers_.fetch_sub(1, std::memory_order_seq_cst);
  return now;
}

void ThreadPool::work(int thread) {
  std::uint32_t seen = 0;
  for (;;) {
    seen = await_generation(seen);
    if (stopping_) return;
    body_(context_, thread, size());
    if (pending_.fetch_sub(1, std::memory_order_acq_rel) == 1) pending_.notify_one();
  }
}

void ThreadPool::await_workers() {
  if (spin(spin_time_, [this] { return pending_.load(std::memory_order_acquire) == 0; })) return;
  for (std::uint32_t left = pending_.load(std::memory_order_acquire); left != 0;
       left = pending_.load(std::memory_order_acquire))
    pending_.wait(left, std::memory_order_acquire);
}

void ThreadPool::run_erased(Erased body, const void* context) {
  const int threads = size();
  if (threads == 1) {
    body(context, 0, 1);
    return;
  }
  body_ = body;
  context_ = context;
  pending_.store(static_cast<std::uint32_t>(threads - 1), std::memory_order_relaxed);
  generation_.fetch_add(1, std::memory_order_seq_cst);
  if (sleepers_.load(std::memory_order_seq_cst) > 0) generation_.notify_all();
  body(context, 0, threads);
  await_workers();
}

}  // namespace strata
