#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <vector>

#include "backends/simt/simt_device.h"

namespace strata::STRATA_SIMT {

/// A recorded step: a graph of the vendor's runtime.
class SimtRecording final : public Recording {
 public:
  SimtRecording(const SimtDevice& device, api::GraphHandle graph)
      : device_(device), graph_(graph) {}
  SimtRecording(const SimtRecording&) = delete;
  SimtRecording& operator=(const SimtRecording&) = delete;
  ~SimtRecording() override;
  api::GraphHandle graph() const { return graph_; }

 private:
  const SimtDevice& device_;
  api::GraphHandle graph_;
};

/// A stream of the vendor's runtime. Its events are a ring made once; copies from and to memory
/// that is not pinned go through pinned memory of its own, in stream order.
class SimtStream final : public Stream {
 public:
  SimtStream(SimtDevice& device, StreamRole role);
  SimtStream(const SimtStream&) = delete;
  SimtStream& operator=(const SimtStream&) = delete;
  ~SimtStream() override;

  void copy(BufferSpan dst, BufferSpan src) override;
  void fill(BufferSpan span, std::byte value) override;
  void host_task(HostTask task) override;
  Event record() override;
  void wait(const Event& event) override;
  bool reached(std::uint64_t ticket) const override;
  void await(std::uint64_t ticket) override;
  void flush() override {}
  void synchronize() override;
  void* native() override { return api::native(handle_); }
  bool can_record() const override { return true; }
  void begin_recording() override;
  std::unique_ptr<Recording> end_recording() override;
  void replay(const Recording& recording) override;

  const SimtDevice& device() const { return device_; }
  /// kTickets counters that are zero; null unless the stream's role is to compute.
  unsigned* tickets() const { return reinterpret_cast<unsigned*>(tickets_.data()); }
  api::StreamHandle handle() const { return handle_; }

 private:
  // More than are ever waited for at a time: an older one is answered by the oldest that is left.
  static constexpr std::uint64_t kEvents = 64;

  struct Task;
  static void run_task(void* context);
  void enqueue(const Task& task);
  void give_back(Task* slot);
  void fail_later(std::exception_ptr error);
  void stage_up(std::byte* to, const std::byte* from, std::size_t bytes);
  void stage_down(std::byte* to, const std::byte* from, std::size_t bytes);
  std::byte* staging();
  void check_not_recording(const char* what) const;
  api::EventHandle event(std::uint64_t ticket) const { return events_[ticket % kEvents]; }
  std::uint64_t with_event(std::uint64_t ticket) const;
  void throw_host_error();

  SimtDevice& device_;
  api::StreamHandle handle_{};
  std::array<api::EventHandle, kEvents> events_{};
  std::atomic<std::uint64_t> ticket_{0};  // other threads may ask what has been reached
  mutable std::atomic<std::uint64_t> reached_{0};
  bool recording_ = false;
  Buffer staging_;
  Buffer tickets_;

  std::mutex mutex_;  // what host tasks share with us
  std::exception_ptr error_;
  std::vector<std::unique_ptr<Task>> tasks_;
  std::vector<Task*> idle_tasks_;
};

inline SimtStream& simt_stream(Stream& stream) { return static_cast<SimtStream&>(stream); }

}  // namespace strata::STRATA_SIMT
