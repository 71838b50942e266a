#pragma once

#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <random>

#include "backends/sim/sim_device.h"

namespace strata::sim {

/// A queue of work for the device inside. Some of it is done at each call, as its seeded order has
/// it (SimOptions::late); all that is needed at a wait. The virtual clock, where there is one, goes
/// its own way: it says when the work would be done, not when it is.
class SimStream final : public Stream {
 public:
  SimStream(SimDevice& device, StreamRole role);
  ~SimStream() override;

  void copy(BufferSpan dst, BufferSpan src) override;
  void fill(BufferSpan span, std::byte value) override;
  void host_task(HostTask task) override;
  Event record() override;
  void wait(const Event& event) override;
  bool reached(std::uint64_t ticket) const override;
  void await(std::uint64_t ticket) override;
  void flush() override {}
  /// Does what is left. Once work has failed nothing more is done, and every call throws that
  /// error.
  void synchronize() override;
  void* native() override { return nullptr; }

  /// Enqueues an op of the device inside; operands are copied, what they point to is not.
  void run(std::shared_ptr<const PreparedOp> op, const Operands& operands, Workspace workspace);

  /// Until when the stream is known to be busy, in virtual nanoseconds; 0 without a clock.
  std::int64_t busy_until_ns() const;

 private:
  void enqueue(std::function<void()> work);
  void do_some();
  void do_one();
  void do_until(std::uint64_t ticket);

  void run_now(const PreparedOp& op, const Operands& operands, Workspace workspace);
  void time_copy(const BufferSpan& dst, const BufferSpan& src);
  void copy_now(const BufferSpan& dst, const BufferSpan& src);

  SimDevice& device_;
  VirtualClock* clock_;
  VirtualClock::Line line_ = 0;
  std::unique_ptr<Stream> inside_;
  std::deque<std::function<void()>> work_;
  std::mt19937_64 order_;
  std::uint64_t enqueued_ = 0;
  std::uint64_t done_ = 0;
  std::exception_ptr error_;
};

}  // namespace strata::sim
