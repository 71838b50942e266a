#pragma once

#include <atomic>
#include <memory>

#include "backends/cpu/kernels/kernels.h"
#include "runtime/core/device.h"
#include "runtime/core/thread_pool.h"

namespace strata::cpu {

struct CpuDeviceOptions {
  int threads = 0;            ///< for a step of one token; 0: default_threads()
  const char* isa = nullptr;  ///< null: STRATA_CPU_ISA, else the best that the CPU has
  int batch_threads = 0;      ///< for several tokens; 0: as `threads`
};

/// The CPU as a device: memory is the host's, a stream runs each call at once on the caller's
/// thread and the device's pool, so every event is reached when it is recorded.
class CpuDevice final : public Device {
 public:
  explicit CpuDevice(const CpuDeviceOptions& options);

  MemoryUse memory() const override;
  Buffer allocate(std::size_t bytes, MemoryKind kind) override;
  std::optional<Buffer> import_host(std::span<const std::byte> bytes) override;
  std::unique_ptr<Stream> open_stream(StreamRole role) override;
  const OpTable& ops() const override;

  const Kernels& kernels() const { return *kernels_; }
  ThreadPool& pool() { return pool_; }  ///< as many threads as any step needs
  /// Threads that work on `tokens` tokens at once.
  int threads(std::int64_t tokens) const { return tokens > 1 ? batch_threads_ : threads_; }

 private:
  static void release(void* owner, std::byte* data, std::size_t bytes);

  const Kernels* kernels_;
  int threads_;
  int batch_threads_;
  ThreadPool pool_;
  std::atomic<std::uint64_t> allocated_{0};
};

/// What an op's run function finds behind its Stream&. The pool has one caller at a time: compute
/// streams of one device are used by one thread at a time, upload and download streams copy on
/// their own thread and may run beside them.
class CpuStream final : public Stream {
 public:
  CpuStream(CpuDevice& device, StreamRole role) : device_(device), role_(role) {}

  void copy(BufferSpan dst, BufferSpan src) override;  ///< the ranges do not overlap
  void fill(BufferSpan span, std::byte value) override;
  void host_task(HostTask task) override;
  Event record() override { return {this, ++ticket_}; }
  void wait(const Event&) override {}
  bool reached(std::uint64_t ticket) const override { return ticket <= ticket_; }
  void flush() override {}
  void synchronize() override {}
  void* native() override { return nullptr; }

  const Kernels& kernels() const { return device_.kernels(); }
  ThreadPool& pool() { return device_.pool(); }
  int threads(std::int64_t tokens) const { return device_.threads(tokens); }

  /// pool().run(body) on the threads for `tokens` tokens.
  template <class Body>
  void run(std::int64_t tokens, const Body& body) {
    pool().run(threads(tokens), body);
  }

 private:
  // body(thread, threads) on the pool, or once on the calling thread.
  template <class Body>
  void divide(std::size_t bytes, const Body& body);

  CpuDevice& device_;
  StreamRole role_;
  std::uint64_t ticket_ = 0;
};

/// This backend's op table, from ops.def: forgetting an op fails at link time.
const OpTable& op_table();

}  // namespace strata::cpu
