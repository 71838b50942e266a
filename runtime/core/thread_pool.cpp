#include "runtime/core/thread_pool.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <system_error>

#include "runtime/core/cpus.h"
#include "runtime/core/error.h"
#include "runtime/core/futex.h"
#include "runtime/core/numa.h"

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

// Of ThreadPool::call_.
constexpr int kThreadBits = 12;
constexpr std::uint32_t kThreadMask = (1U << kThreadBits) - 1;
static_assert(ThreadPool::kMaxThreads == kThreadMask);
int threads_of(std::uint32_t call) { return static_cast<int>(call & kThreadMask); }

// Of ThreadPool::finished_.
constexpr std::uint32_t kWaiting = 1U << 31;

constexpr int kEndShift = 32;
constexpr std::uint64_t kOneFromTheEnd = std::uint64_t{1} << kEndShift;

// Takes the first item of a range, or the last. Acquires what publish() released: whatever region
// the item belongs to, even one that began while this thread still looked for items of the one
// before, is complete, and stays until the item is reported as finished.
template <bool First>
bool take(std::atomic<std::uint64_t>& items, std::uint32_t& item) {
  std::uint64_t range = items.load(std::memory_order_relaxed);
  for (;;) {
    const auto begin = static_cast<std::uint32_t>(range);
    const auto end = static_cast<std::uint32_t>(range >> kEndShift);
    if (begin >= end) return false;
    item = First ? begin : end - 1;
    if (items.compare_exchange_weak(range, First ? range + 1 : range - kOneFromTheEnd,
                                    std::memory_order_acquire, std::memory_order_relaxed))
      return true;
  }
}

}  // namespace

ThreadPool::ThreadPool(int threads, const std::vector<std::vector<int>>& places)
    : ranges_(std::make_unique<Range[]>(static_cast<std::size_t>(std::max(threads, 1)))) {
  spin_time_ = threads <= usable_cpus() ? kSpinTime : kSpinTimeOversubscribed;
  workers_.reserve(static_cast<std::size_t>(std::max(threads - 1, 0)));
  try {
    for (int i = 1; i < threads; ++i) {
      const auto at = static_cast<std::size_t>(i);
      workers_.emplace_back(
          [this, i, place = at < places.size() ? places[at] : std::vector<int>{}] {
            stay_on(place);
            work(i);
          });
    }
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
  stopping_.store(true, std::memory_order_relaxed);
  call_.store((call_.load(std::memory_order_relaxed) | kThreadMask) + kThreadMask + 1,
              std::memory_order_seq_cst);
  widened_.fetch_add(1, std::memory_order_seq_cst);
  futex_wake_all(call_);
  futex_wake_all(widened_);
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
}

int ThreadPool::sleeping() const {
  return static_cast<int>(sleepers_.load(std::memory_order_relaxed) +
                          parted_.load(std::memory_order_relaxed));
}

std::uint32_t ThreadPool::await_call(std::uint32_t seen) {
  std::uint32_t now = seen;
  const auto called = [&] { return (now = call_.load(std::memory_order_acquire)) != seen; };
  if (spin(spin_time_, called)) return now;
  // Sequentially consistent with the caller's store and its look at sleepers_: either the caller
  // sees the sleeper and wakes it, or the sleeper sees the call.
  sleepers_.fetch_add(1, std::memory_order_seq_cst);
  sleeps_.fetch_add(1, std::memory_order_relaxed);
  while ((now = call_.load(std::memory_order_seq_cst)) == seen) futex_wait(call_, seen);
  sleepers_.fetch_sub(1, std::memory_order_seq_cst);
  return now;
}

// For a worker that the last call did without: sleeps, undisturbed by calls of as few threads,
// until one has a part for it.
std::uint32_t ThreadPool::await_part(int thread) {
  std::uint32_t call = 0;
  parted_.fetch_add(1, std::memory_order_seq_cst);
  sleeps_.fetch_add(1, std::memory_order_relaxed);
  for (;;) {
    const std::uint32_t widened = widened_.load(std::memory_order_seq_cst);
    call = call_.load(std::memory_order_seq_cst);
    if (thread < threads_of(call)) break;
    futex_wait(widened_, widened);
  }
  parted_.fetch_sub(1, std::memory_order_seq_cst);
  return call;
}

void ThreadPool::work(int thread) {
  std::uint32_t call = 0;
  for (;;) {
    call = thread < threads_of(call) ? await_call(call) : await_part(thread);
    if (stopping_.load(std::memory_order_relaxed)) return;
    const std::uint32_t done = work_through(thread, threads_of(call));
    if (done == 0) continue;
    if ((finished_.fetch_add(done, std::memory_order_acq_rel) & kWaiting) != 0)
      futex_wake_all(finished_);
  }
}

// Own items first, then those of the next threads; returns how many. It stops when nobody has any
// left that are not begun.
std::uint32_t ThreadPool::work_through(int thread, int threads) {
  std::uint32_t done = 0;
  std::uint32_t item = 0;
  for (; take<true>(ranges_[static_cast<std::size_t>(thread)].items, item); ++done)
    region_.body(region_.context, thread, thread, item);
  for (int i = 1; i < threads; ++i) {
    const int owner = (thread + i) % threads;
    for (; take<false>(ranges_[static_cast<std::size_t>(owner)].items, item); ++done)
      region_.body(region_.context, thread, owner, item);
  }
  return done;
}

// Hands out the items and calls the workers; returns how many items there are.
std::uint32_t ThreadPool::publish(int threads, const Region& region) {
  region_ = region;
  finished_.store(0, std::memory_order_relaxed);
  std::uint32_t items = 0;
  for (int t = 0; t < threads; ++t) {
    const std::uint32_t own = region.items_of(region.context, t);
    items += own;
    ranges_[static_cast<std::size_t>(t)].items.store(std::uint64_t{own} << kEndShift,
                                                     std::memory_order_release);
  }
  const std::uint32_t generation = (call_.load(std::memory_order_relaxed) >> kThreadBits) + 1;
  call_.store(generation << kThreadBits | static_cast<std::uint32_t>(threads),
              std::memory_order_seq_cst);
  if (sleepers_.load(std::memory_order_seq_cst) > 0) futex_wake_all(call_);
  if (threads > called_) {
    widened_.fetch_add(1, std::memory_order_seq_cst);
    if (parted_.load(std::memory_order_seq_cst) > 0) futex_wake_all(widened_);
  }
  called_ = threads;
  return items;
}

void ThreadPool::await_finished(std::uint32_t items) {
  if (spin(spin_time_, [&] { return finished_.load(std::memory_order_acquire) == items; })) return;
  std::uint32_t now = finished_.fetch_or(kWaiting, std::memory_order_acq_rel) | kWaiting;
  while ((now & ~kWaiting) != items) {
    futex_wait(finished_, now);
    now = finished_.load(std::memory_order_acquire);
  }
}

void ThreadPool::run_region(int threads, const Region& region) {
  if (threads == 1) {
    const std::uint32_t items = region.items_of(region.context, 0);
    for (std::uint32_t i = 0; i < items; ++i) region.body(region.context, 0, 0, i);
    return;
  }
  const std::uint32_t items = publish(threads, region);
  await_finished(items - work_through(0, threads));
}

}  // namespace strata
