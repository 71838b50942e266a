#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

namespace strata {

/// CPUs that this process may use: the inherited affinity mask, cut by the cgroup's CPU quota
/// (rounded up), at least 1.
int usable_cpus();

/// Fork-join pool for kernels. run() calls a function once per thread and returns when all are
/// done; the caller is thread 0. Between calls the workers spin for a bounded time, so that within
/// a token no futex is needed, then sleep until the next call. One caller at a time.
class ThreadPool {
 public:
  /// `threads` in all, the caller included; at least 1. Throws Error{runtime} when the system
  /// refuses a thread, after joining those that had started.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls body(thread, threads) once per thread. `body` must not throw.
  template <class Body>
  void run(const Body& body) {
    run_erased([](const void* context, int thread,
                  int threads) { (*static_cast<const Body*>(context))(thread, threads); },
               &body);
  }

  /// Times that a worker went to sleep in the kernel, for tests and statistics.
  std::uint64_t sleeps() const { return sleeps_.load(std::memory_order_relaxed); }
  /// Workers that are asleep, or about to be, at this moment.
  int sleeping() const { return static_cast<int>(sleepers_.load(std::memory_order_relaxed)); }

 private:
  using Erased = void (*)(const void* context, int thread, int threads);
  void run_erased(Erased body, const void* context);
  void work(int thread);
  std::uint32_t await_generation(std::uint32_t seen);
  void await_workers();
  void stop();

  std::vector<std::thread> workers_;
  std::chrono::nanoseconds spin_time_{};
  Erased body_ = nullptr;
  const void* context_ = nullptr;
  bool stopping_ = false;
  alignas(128) std::atomic<std::uint32_t> generation_{0};
  alignas(128) std::atomic<std::uint32_t> pending_{0};
  alignas(128) std::atomic<std::uint32_t> sleepers_{0};
  std::atomic<std::uint64_t> sleeps_{0};
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
