#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "runtime/core/cpus.h"

namespace strata {

/// Fork-join pool for kernels. A call is a region: items of work, each of which belongs to one of
/// the region's threads. A thread does its own items in order and then those that others have not
/// begun, so that a thread which lost its CPU holds nobody up for longer than the item that it is
/// in. The calling thread is thread 0. Between regions the workers spin for a bounded time, so that
/// within a token no futex is needed, then sleep until the next region. One caller at a time;
/// regions do not nest.
class ThreadPool {
 public:
  static constexpr int kMaxThreads = 4095;

  /// `threads` in all, the caller included; 1 to kMaxThreads. Throws Error{runtime} when the system
  /// refuses a thread, after joining those that had started. `places` (see thread_places): the CPUs
  /// that worker i stays on; the caller's thread is left alone.
  explicit ThreadPool(int threads, const std::vector<std::vector<int>>& places = {});
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls body(share, threads) once for each share from 0 to threads - 1, at most size(): share t
  /// on thread t, or on another if t does not come to it in time. No two calls with one share run
  /// at once, so it may index scratch memory. `body` must not throw.
  template <class Body>
  void run(int threads, const Body& body) {
    run_items(
        threads, [](int) { return 1U; },
        [&](int, int share, std::uint32_t) { body(share, threads); });
  }
  template <class Body>
  void run(const Body& body) {
    run(size(), body);
  }

  /// Calls body(thread, owner, item) once for each item from 0 to items_of(owner) - 1 of each owner
  /// from 0 to threads - 1. `thread`, below size(), is the one that runs it; it indexes scratch
  /// memory. Fewer than 2^31 items in all. `body` and `items_of` must not throw.
  template <class Items, class Body>
  void run_items(int threads, const Items& items_of, const Body& body) {
    const Both<Items, Body> both{items_of, body};
    run_region(threads,
               Region{&both,
                      [](const void* context, int owner) -> std::uint32_t {
                        return static_cast<const Both<Items, Body>*>(context)->items_of(owner);
                      },
                      [](const void* context, int thread, int owner, std::uint32_t item) {
                        static_cast<const Both<Items, Body>*>(context)->body(thread, owner, item);
                      }});
  }

  /// Times that a worker went to sleep in the kernel, for tests and statistics.
  std::uint64_t sleeps() const { return sleeps_.load(std::memory_order_relaxed); }
  /// Workers that are asleep, or about to be, at this moment.
  int sleeping() const;

 private:
  template <class Items, class Body>
  struct Both {
    const Items& items_of;
    const Body& body;
  };
  struct Region {
    const void* context = nullptr;
    std::uint32_t (*items_of)(const void* context, int owner) = nullptr;
    void (*body)(const void* context, int thread, int owner, std::uint32_t item) = nullptr;
  };
  // What is written by different threads lies 128 bytes apart: CPUs fetch lines in pairs.
  struct alignas(128) Range {
    std::atomic<std::uint64_t> items{0};  // [low half, high half): not yet begun
  };

  void run_region(int threads, const Region& region);
  std::uint32_t publish(int threads, const Region& region);
  std::uint32_t work_through(int thread, int threads);
  void await_finished(std::uint32_t items);
  void work(int thread);
  std::uint32_t await_call(std::uint32_t seen);
  std::uint32_t await_part(int thread);
  void stop();

  std::vector<std::thread> workers_;
  std::unique_ptr<Range[]> ranges_;
  std::chrono::nanoseconds spin_time_{};
  int called_ = 0;  // threads of the last region
  std::atomic<bool> stopping_{false};
  // What a worker reads when it is called. The call: generation << kThreadBits | threads.
  alignas(128) std::atomic<std::uint32_t> call_{0};
  Region region_;
  // Items that workers have finished, and kWaiting when the caller sleeps until there are more.
  alignas(128) std::atomic<std::uint32_t> finished_{0};
  alignas(128) std::atomic<std::uint32_t> sleepers_{0};
  std::atomic<std::uint64_t> sleeps_{0};
  // Threads that the last region did without wait for another number of threads.
  std::atomic<std::uint32_t> parted_{0};
  std::atomic<std::uint32_t> widened_{0};
};

/// The share [begin, end) of `count` items, in units of `grain`, that falls to `thread`.
struct Share {
  std::int64_t begin;
  std::int64_t end;
};
constexpr Share share_of(std::int64_t count, std::int64_t grain, int thread, int threads) {
  const std::int64_t units = (count + grain - 1) / grain;
  const std::int64_t begin = units * thread / threads * grain;
  const std::int64_t end = units * (thread + 1) / threads * grain;
  return {begin < count ? begin : count, end < count ? end : count};
}

}  // namespace strata
