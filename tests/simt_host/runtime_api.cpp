#include "tests/simt_host/runtime_api.h"

#include <fmt/format.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tests/simt_host/platform.h"
#include "tests/simt_host/simt_host.h"

namespace strata::simt_host {

struct HostStream {
  Machine* machine = nullptr;
  bool failed = false;
  bool capturing = false;
  std::vector<std::function<void()>> captured;
  std::function<void()> late;  // a kernel that may run together with the next

  void catch_up() {
    if (const auto work = std::exchange(late, nullptr)) work();
  }
};

struct HostEvent {
  const HostStream* stream = nullptr;
};

struct HostGraph {
  std::vector<std::function<void()>> work;
};

namespace api {
namespace {

constexpr unsigned kMostThreads = 1024;
constexpr unsigned kMostBlocksYz = 65535;
constexpr int kGarbage = 0xA5;
constexpr std::size_t kAlignment = 256;

thread_local Machine* current = nullptr;

// Runs the work now, or keeps it while the stream is recorded.
Status submit(HostStream* stream, std::function<void()> work) {
  if (stream->failed) return Status::launch_failure;
  if (stream->capturing)
    stream->captured.push_back(std::move(work));
  else
    work();
  return kSuccess;
}

// The same of what waits for the kernels before it.
Status submit_in_order(HostStream* stream, std::function<void()> work) {
  return submit(stream, [stream, work = std::move(work)] {
    stream->catch_up();
    work();
  });
}

// Exactly as many bytes as are asked for, so that AddressSanitizer sees the first one too many.
Status allocate(void** data, std::size_t bytes) {
  *data = nullptr;
  if (current->allocations++ == current->failing_allocation) return Status::out_of_memory;
  if (posix_memalign(data, kAlignment, bytes) != 0) return Status::out_of_memory;
  std::memset(*data, kGarbage, bytes);
  return kSuccess;
}

// Whose each block of device memory is, and its bytes.
struct Blocks {
  std::mutex mutex;
  std::unordered_map<void*, std::pair<Machine*, std::size_t>> owners;
};

Blocks& device_blocks() {
  static Blocks blocks;
  return blocks;
}

}  // namespace

std::string text(Status status) {
  switch (status) {
    case Status::success:
      return "no error";
    case Status::not_ready:
      return "not ready";
    case Status::out_of_memory:
      return "out of memory";
    case Status::invalid_value:
      return "invalid value";
    case Status::launch_failure:
      return "a kernel failed";
    case Status::no_device:
      return "no such device";
  }
  return "unknown";
}

Status device_count(int* count) {
  *count = machine_count();
  return kSuccess;
}

Status use_device(int device) {
  Machine* machine = find_machine(device);
  if (machine == nullptr) return Status::no_device;
  current = machine;
  return kSuccess;
}

Status properties(int device, Properties* result) {
  const Machine* machine = find_machine(device);
  if (machine == nullptr) return Status::no_device;
  result->name = "SIMT on the CPU";
  result->arch = fmt::format("lanes{}", machine->lanes);
  result->memory_bytes = machine->memory_bytes;
  result->shared_bytes = machine->shared_bytes;
  result->lanes = machine->lanes;
  result->compute_units = 2;
  result->has_bf16_tiles = true;
  result->can_overlap = true;
  result->can_register = true;
  return kSuccess;
}

Status memory_info(std::size_t* free, std::size_t* total) {
  *total = current->memory_bytes;
  *free = *total - current->used;
  return kSuccess;
}

Status malloc_async(void** data, std::size_t bytes, StreamHandle) {
  return malloc_plain(data, bytes);
}

void free_async(void* data, StreamHandle) { free_plain(data); }

Status malloc_plain(void** data, std::size_t bytes) {
  *data = nullptr;
  if (bytes > current->memory_bytes - current->used) return Status::out_of_memory;
  const Status status = allocate(data, bytes);
  if (status != kSuccess) return status;
  current->used += bytes;
  const std::lock_guard lock(device_blocks().mutex);
  device_blocks().owners[*data] = {current, bytes};
  return kSuccess;
}

void free_plain(void* data) {
  {
    const std::lock_guard lock(device_blocks().mutex);
    const auto found = device_blocks().owners.find(data);
    if (found == device_blocks().owners.end()) return;
    found->second.first->used -= found->second.second;
    device_blocks().owners.erase(found);
  }
  std::free(data);
}

Status host_alloc(void** data, std::size_t bytes) { return allocate(data, bytes); }

void host_free(void* data) { std::free(data); }

Status host_register(void*, std::size_t) { return kSuccess; }
void host_unregister(void*) {}

Status memcpy_async(void* to, const void* from, std::size_t bytes, StreamHandle stream) {
  return submit_in_order(stream, [=] { std::memcpy(to, from, bytes); });
}

Status memset_async(void* data, int value, std::size_t bytes, StreamHandle stream) {
  return submit_in_order(stream, [=] { std::memset(data, value, bytes); });
}

Status stream_create(StreamHandle* stream) {
  *stream = new HostStream{current, false, false, {}, {}};
  return kSuccess;
}

void stream_destroy(StreamHandle stream) { delete stream; }

Status stream_query(StreamHandle stream) {
  if (!stream->capturing) stream->catch_up();
  return stream->failed ? Status::launch_failure : kSuccess;
}

Status stream_synchronize(StreamHandle stream) { return stream_query(stream); }

Status stream_wait(StreamHandle stream, EventHandle) { return stream_query(stream); }

Status event_create(EventHandle* event) {
  *event = new HostEvent;
  return kSuccess;
}

void event_destroy(EventHandle event) { delete event; }

Status event_record(EventHandle event, StreamHandle stream) {
  event->stream = stream;
  return stream_query(stream);
}

Status event_query(EventHandle event) {
  return event->stream == nullptr ? kSuccess : stream_query(const_cast<HostStream*>(event->stream));
}

Status event_synchronize(EventHandle event) {
  if (event->stream == nullptr) return kSuccess;
  return stream_synchronize(const_cast<HostStream*>(event->stream));
}

Status launch_host_func(StreamHandle stream, void (*run)(void*), void* context) {
  return submit_in_order(stream, [=] { run(context); });
}

Status begin_capture(StreamHandle stream) {
  stream->capturing = true;
  stream->captured.clear();
  return kSuccess;
}

Status end_capture(StreamHandle stream, GraphHandle* graph) {
  stream->capturing = false;
  *graph = new HostGraph{std::exchange(stream->captured, {})};
  return kSuccess;
}

Status graph_launch(GraphHandle graph, StreamHandle stream) {
  if (stream->failed) return Status::launch_failure;
  for (const auto& work : graph->work) work();
  stream->catch_up();
  return kSuccess;
}

void graph_destroy(GraphHandle graph) { delete graph; }

namespace {

// Runs a kernel, or leaves it to be the late one of the next.
void run_launch(HostStream* stream, HostLaunch launched) {
  Machine& on = *stream->machine;
  const std::uint64_t number = on.launches++;
  if (static_cast<std::int64_t>(number) == on.failing_launch) stream->failed = true;
  if (stream->failed) return;
  launched.seed = on.seed * 1000003 + number;
  launched.prefetches = &on.prefetches;
  if (!on.early || !launched.must_wait) {
    stream->catch_up();
    run_blocks(launched);
  } else if (stream->late) {
    launched.previous = std::exchange(stream->late, nullptr);
    run_blocks(launched);
  } else if (launched.seed * 0x9E3779B97F4A7C15u >> 62 == 0) {
    run_blocks(launched);  // so that others are pairs
  } else {
    stream->late = [launched = std::move(launched)] { run_blocks(launched); };
  }
}

}  // namespace

Status launch(StreamHandle stream, const void* kernel, const LaunchShape& shape, void**) {
  const auto& host = *static_cast<const HostKernel*>(kernel);
  Machine& machine = *stream->machine;
  const Grid& blocks = shape.blocks;
  if (blocks.x == 0 || blocks.y == 0 || blocks.z == 0 || blocks.y > kMostBlocksYz ||
      blocks.z > kMostBlocksYz || shape.threads == 0 || shape.threads > kMostThreads ||
      shape.shared_bytes > machine.shared_bytes)
    return Status::invalid_value;
  const std::string_view file = host.site.file;
  HostLaunch launched;
  launched.name = fmt::format("{}:{}", file.substr(file.rfind('/') + 1), host.site.line);
  launched.blocks[0] = blocks.x;
  launched.blocks[1] = blocks.y;
  launched.blocks[2] = blocks.z;
  launched.threads = shape.threads;
  launched.shared_bytes = shape.shared_bytes;
  launched.lanes = machine.lanes;
  launched.must_wait = shape.start == Start::overlapped;
  launched.body = host.body;
  return submit(stream, [stream, launched = std::move(launched)] { run_launch(stream, launched); });
}

}  // namespace api
}  // namespace strata::simt_host
