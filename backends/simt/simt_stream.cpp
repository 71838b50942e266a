#include "backends/simt/simt_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <thread>
#include <utility>

#include "runtime/core/error.h"

namespace strata::STRATA_SIMT {
namespace {

constexpr std::size_t kStagingBytes = 4 << 20;

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

void launch_kernel(const LaunchSite& site, const void* kernel, const LaunchShape& shape,
                   void** arguments) {
  const SimtStream& stream = simt_stream(*site.stream);
  const SimtDevice& device = stream.device();
  device.activate();
  LaunchShape wanted = shape;
  if (!device.limits().can_overlap) wanted.start = Start::after_previous;
  const api::Status status = api::launch(stream.handle(), kernel, wanted, arguments);
  if (status == api::kSuccess) return;
  api::clear_error();
  throw Error(ErrorCode::runtime, to_string(device.info().id),
              fmt::format("kernel of {}:{}, grid ({}, {}, {}), {} threads, {} bytes of shared "
                          "memory: {}",
                          base_name(site.file), site.line, shape.blocks.x, shape.blocks.y,
                          shape.blocks.z, shape.threads, shape.shared_bytes, api::text(status)));
}

unsigned* tickets_of(Stream& stream) { return simt_stream(stream).tickets(); }

SimtRecording::~SimtRecording() {
  device_.activate();
  api::graph_destroy(graph_);
}

// Work for the host, kept for the next when it has been done: a task of the caller's, or, without
// one, a copy between memory that is not pinned and memory that is, or a fill.
struct SimtStream::Task {
  SimtStream* stream = nullptr;
  HostTask task;
  std::byte* to = nullptr;
  const std::byte* from = nullptr;  // null: a fill with `value`
  std::size_t bytes = 0;
  int value = 0;

  void run() const {
    if (task.run != nullptr)
      task.run(task.context);
    else if (from == nullptr)
      std::memset(to, value, bytes);
    else
      std::memcpy(to, from, bytes);
  }
};

SimtStream::SimtStream(SimtDevice& device, StreamRole role) : device_(device) {
  if (role == StreamRole::compute)
    tickets_ = device.allocate(kTickets * sizeof(unsigned), MemoryKind::device);
  device.activate();
  device.check(api::stream_create(&handle_), "creating a stream");
  api::Status status = api::kSuccess;
  if (role == StreamRole::compute)
    status = api::memset_async(tickets_.data(), 0, tickets_.bytes(), handle_);
  for (api::EventHandle& handle : events_)
    if (status == api::kSuccess) status = api::event_create(&handle);
  if (status == api::kSuccess) return;
  for (const api::EventHandle made : events_)
    if (made != nullptr) api::event_destroy(made);
  api::stream_destroy(handle_);
  device.check(status, "preparing a stream");
}

SimtStream::~SimtStream() {
  device_.activate();
  if (recording_) {
    api::GraphHandle graph{};
    if (api::end_capture(handle_, &graph) == api::kSuccess) api::graph_destroy(graph);
  }
  static_cast<void>(api::stream_synchronize(handle_));  // host tasks have our address
  for (const api::EventHandle handle : events_) api::event_destroy(handle);
  api::stream_destroy(handle_);
  api::clear_error();
}

void SimtStream::copy(BufferSpan dst, BufferSpan src) {
  if (src.bytes == 0) return;
  device_.activate();
  if (src.kind == MemoryKind::host && dst.kind == MemoryKind::device)
    stage_up(dst.data, src.data, src.bytes);
  else if (src.kind == MemoryKind::device && dst.kind == MemoryKind::host)
    stage_down(dst.data, src.data, src.bytes);
  else if (src.kind == MemoryKind::host || dst.kind == MemoryKind::host)
    enqueue({this, {}, dst.data, src.data, src.bytes, 0});
  else
    device_.check(api::memcpy_async(dst.data, src.data, src.bytes, handle_), "copying");
}

// One buffer serves all pieces, as they follow each other in stream order.
void SimtStream::stage_up(std::byte* to, const std::byte* from, std::size_t bytes) {
  check_not_recording("a copy from memory that is not pinned");
  for (std::size_t at = 0; at < bytes; at += kStagingBytes) {
    const std::size_t piece = std::min(kStagingBytes, bytes - at);
    enqueue({this, {}, staging(), from + at, piece, 0});
    device_.check(api::memcpy_async(to + at, staging(), piece, handle_), "copying");
  }
}

void SimtStream::stage_down(std::byte* to, const std::byte* from, std::size_t bytes) {
  check_not_recording("a copy to memory that is not pinned");
  for (std::size_t at = 0; at < bytes; at += kStagingBytes) {
    const std::size_t piece = std::min(kStagingBytes, bytes - at);
    device_.check(api::memcpy_async(staging(), from + at, piece, handle_), "copying");
    enqueue({this, {}, to + at, staging(), piece, 0});
  }
}

std::byte* SimtStream::staging() {
  if (staging_.bytes() == 0) staging_ = device_.allocate(kStagingBytes, MemoryKind::pinned);
  return staging_.data();
}

void SimtStream::fill(BufferSpan span, std::byte value) {
  if (span.bytes == 0) return;
  device_.activate();
  const int byte = static_cast<int>(value);
  if (span.kind == MemoryKind::host) {
    check_not_recording("filling memory that is not pinned");
    enqueue({this, {}, span.data, nullptr, span.bytes, byte});
  } else {
    device_.check(api::memset_async(span.data, byte, span.bytes, handle_), "filling memory");
  }
}

void SimtStream::check_not_recording(const char* what) const {
  if (recording_)
    throw Error(ErrorCode::runtime, to_string(device_.info().id),
                fmt::format("{} cannot be recorded", what));
}

void SimtStream::host_task(HostTask task) {
  check_not_recording("a host task");
  device_.activate();
  enqueue({this, task, nullptr, nullptr, 0, 0});
}

void SimtStream::enqueue(const Task& task) {
  check_not_recording("work for the host");
  Task* slot = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (idle_tasks_.empty()) {
      tasks_.push_back(std::make_unique<Task>());
      idle_tasks_.reserve(tasks_.size());  // so that giving it back cannot fail
      idle_tasks_.push_back(tasks_.back().get());
    }
    slot = idle_tasks_.back();
    idle_tasks_.pop_back();
  }
  *slot = task;
  const api::Status status = api::launch_host_func(handle_, &SimtStream::run_task, slot);
  if (status != api::kSuccess) give_back(slot);
  device_.check(status, "enqueuing work for the host");
}

// On a thread of the vendor's runtime, from which nothing may be thrown.
void SimtStream::run_task(void* context) {
  Task* slot = static_cast<Task*>(context);
  SimtStream& stream = *slot->stream;
  try {
    slot->run();
  } catch (...) {
    stream.fail_later(std::current_exception());
  }
  stream.give_back(slot);
}

void SimtStream::give_back(Task* slot) {
  const std::lock_guard lock(mutex_);
  idle_tasks_.push_back(slot);
}

void SimtStream::fail_later(std::exception_ptr error) {
  const std::lock_guard lock(mutex_);
  if (!error_) error_ = std::move(error);
}

Event SimtStream::record() {
  if (recording_) return {this, ticket_};
  device_.activate();
  device_.check(api::event_record(event(ticket_ + 1), handle_), "recording an event");
  return {this, ++ticket_};
}

void SimtStream::wait(const Event& awaited) {
  if (awaited.stream == nullptr || awaited.stream == this || awaited.ticket == 0) return;
  const auto* other = dynamic_cast<const SimtStream*>(awaited.stream);
  if (other == nullptr) {  // another backend's
    while (!awaited.stream->reached(awaited.ticket)) std::this_thread::yield();
    return;
  }
  // A slot that has been used again holds a later event of the same stream, which implies ours.
  device_.activate();
  device_.check(api::stream_wait(handle_, other->event(awaited.ticket)), "waiting for an event");
}

// Only the last kEvents tickets still have an event of their own.
std::uint64_t SimtStream::with_event(std::uint64_t ticket) const {
  const std::uint64_t last = ticket_;
  const std::uint64_t oldest = last < kEvents ? 1 : last - kEvents + 1;
  return std::max(ticket, oldest);
}

bool SimtStream::reached(std::uint64_t ticket) const {
  if (ticket <= reached_) return true;
  device_.activate();
  const std::uint64_t asked = with_event(ticket);
  const api::Status status = api::event_query(event(asked));
  if (status == api::kNotReady) {
    api::clear_error();
    return false;
  }
  device_.check(status, "asking for an event");
  reached_ = asked;
  return true;
}

void SimtStream::await(std::uint64_t ticket) {
  if (ticket <= reached_) return;
  device_.activate();
  const std::uint64_t asked = with_event(ticket);
  const api::Status status = api::event_synchronize(event(asked));
  throw_host_error();
  device_.check(status, "waiting for an event");
  reached_ = asked;
}

// What a host task or a staged copy has thrown.
void SimtStream::throw_host_error() {
  std::exception_ptr error;
  {
    const std::lock_guard lock(mutex_);
    error = std::exchange(error_, nullptr);
  }
  if (error) std::rethrow_exception(error);
}

void SimtStream::synchronize() {
  device_.activate();
  const api::Status status = api::stream_synchronize(handle_);
  throw_host_error();
  device_.check(status, "work that was enqueued before");
  reached_ = ticket_.load();
}

void SimtStream::begin_recording() {
  check_not_recording("a recording");
  device_.activate();
  device_.check(api::begin_capture(handle_), "beginning to record");
  recording_ = true;
}

std::unique_ptr<Recording> SimtStream::end_recording() {
  if (!recording_)
    throw Error(ErrorCode::runtime, to_string(device_.info().id), "no recording has begun");
  device_.activate();
  recording_ = false;
  api::GraphHandle graph{};
  device_.check(api::end_capture(handle_, &graph), "making a graph of the recorded step");
  return std::make_unique<SimtRecording>(device_, graph);
}

void SimtStream::replay(const Recording& recording) {
  device_.activate();
  device_.check(api::graph_launch(static_cast<const SimtRecording&>(recording).graph(), handle_),
                "replaying a recorded step");
}

}  // namespace strata::STRATA_SIMT
