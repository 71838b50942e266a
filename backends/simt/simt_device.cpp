#include "backends/simt/simt_device.h"

#include <fmt/format.h>

#include "backends/simt/matmul_wish.h"
#include "backends/simt/ops/impls.h"
#include "backends/simt/probe.h"
#include "backends/simt/simt_stream.h"
#include "runtime/core/error.h"
#include "runtime/core/host_memory.h"

namespace strata::STRATA_SIMT {
namespace {

void release_host(void*, std::byte* data, std::size_t bytes) { free_host(data, bytes); }

Error out_of_memory(const SimtDevice& device, std::size_t bytes, const char* what) {
  const MemoryUse use = device.memory();
  return Error(ErrorCode::out_of_memory, to_string(device.info().id),
               fmt::format("need {} bytes{}, free {} of {} ({} allocated by this device)", bytes,
                           what, use.free, use.total, use.ours),
               "use a smaller context or model, or free memory");
}

}  // namespace

DeviceInfo device_info(int index, const Properties& found) {
  DeviceInfo info;
  info.id = {kBackend, index};
  info.name = found.name;
  info.arch = found.arch;
  info.memory_bytes = found.memory_bytes;
  info.unified = found.unified;
  info.lanes = found.lanes;
  info.compute_units = found.compute_units;
  info.driver = found.driver;
  return info;
}

SimtDevice::SimtDevice(int index) {
  info_.id = {kBackend, index};
  static_cast<void>(matmul_wish());
  Properties found;
  api::Status status = api::use_device(index);
  if (status == api::kSuccess) status = api::properties(index, &found);
  if (status == api::kSuccess) status = api::stream_create(&pool_stream_);
  if (status != api::kSuccess) {
    api::clear_error();
    throw Error(ErrorCode::device_missing, to_string(info_.id), api::text(status),
                "`strata doctor` says what each backend needs");
  }
  info_ = device_info(index, found);
  limits_ = {found.lanes, found.shared_bytes, found.compute_units, found.has_bf16_tiles,
             found.can_overlap};
  has_pools_ = found.has_memory_pools;
  can_register_ = found.can_register;
  check_code();
}

// A build for some architectures only must say so here and not at the first op.
void SimtDevice::check_code() {
  try {
    SimtStream stream(*this, StreamRole::compute);
    probe(stream);
    stream.synchronize();
  } catch (const Error& error) {
    api::stream_destroy(pool_stream_);
    throw Error(ErrorCode::device_missing, to_string(info_.id),
                fmt::format("{} ({}) runs no kernel: {}", info_.name, info_.arch, error.detail()),
                "this build may have code for other GPUs only: see docs/building.md");
  }
}

SimtDevice::~SimtDevice() {
  activate();
  api::stream_destroy(pool_stream_);
}

void SimtDevice::activate() const { static_cast<void>(api::use_device(info_.id.index)); }

void SimtDevice::check(api::Status status, const char* what) const {
  if (status == api::kSuccess) return;
  api::clear_error();
  const bool memory = status == api::kOutOfMemory;
  throw Error(memory ? ErrorCode::out_of_memory : ErrorCode::runtime, to_string(info_.id),
              fmt::format("{}: {}", what, api::text(status)));
}

MemoryUse SimtDevice::memory() const {
  activate();
  static_cast<void>(api::stream_synchronize(pool_stream_));  // what was given back is free then
  std::size_t free = 0;
  std::size_t total = 0;
  if (api::memory_info(&free, &total) != api::kSuccess) api::clear_error();
  return {total, free, allocated_.load(std::memory_order_relaxed)};
}

Buffer SimtDevice::allocate(std::size_t bytes, MemoryKind kind) {
  if (bytes == 0) return {nullptr, 0, kind, nullptr, nullptr};
  if (kind == MemoryKind::device) return allocate_device(bytes);
  if (kind == MemoryKind::host) {
    std::byte* data = allocate_host(bytes);
    if (data == nullptr) throw out_of_memory(*this, bytes, " of host memory");
    return {data, bytes, kind, release_host, nullptr};
  }
  activate();
  void* data = nullptr;
  const api::Status status = api::host_alloc(&data, bytes);
  if (status != api::kSuccess) {
    api::clear_error();
    if (status == api::kOutOfMemory) throw out_of_memory(*this, bytes, " of pinned host memory");
    check(status, "allocating pinned memory");
  }
  return {static_cast<std::byte*>(data), bytes, kind, release_pinned, this};
}

Buffer SimtDevice::allocate_device(std::size_t bytes) {
  activate();
  void* data = nullptr;
  api::Status status =
      has_pools_ ? api::malloc_async(&data, bytes, pool_stream_) : api::malloc_plain(&data, bytes);
  // Any stream may use it from now on.
  if (status == api::kSuccess && has_pools_) status = api::stream_synchronize(pool_stream_);
  if (status == api::kOutOfMemory) {
    api::clear_error();
    throw out_of_memory(*this, bytes, "");
  }
  check(status, "allocating memory");
  allocated_.fetch_add(bytes, std::memory_order_relaxed);
  return {static_cast<std::byte*>(data), bytes, MemoryKind::device, release_device, this};
}

void SimtDevice::release_device(void* owner, std::byte* data, std::size_t bytes) {
  auto& device = *static_cast<SimtDevice*>(owner);
  device.activate();
  if (device.has_pools_)
    api::free_async(data, device.pool_stream_);
  else
    api::free_plain(data);
  device.allocated_.fetch_sub(bytes, std::memory_order_relaxed);
}

void SimtDevice::release_pinned(void* owner, std::byte* data, std::size_t) {
  static_cast<SimtDevice*>(owner)->activate();
  api::host_free(data);
}

void SimtDevice::release_imported(void* owner, std::byte* data, std::size_t) {
  static_cast<SimtDevice*>(owner)->activate();
  // Its user may still be at work, and the pages are the file's: nothing else keeps them in place.
  static_cast<void>(api::device_synchronize());
  api::host_unregister(data);
}

std::optional<Buffer> SimtDevice::import_host(std::span<const std::byte> bytes) {
  if (!can_register_ || bytes.empty()) return std::nullopt;
  activate();
  // Registered for reading only: dropping const is harmless.
  auto* data = const_cast<std::byte*>(bytes.data());
  if (api::host_register(data, bytes.size()) != api::kSuccess) {
    api::clear_error();
    return std::nullopt;
  }
  return Buffer(data, bytes.size(), MemoryKind::pinned, release_imported, this);
}

std::unique_ptr<Stream> SimtDevice::open_stream(StreamRole role) {
  return std::make_unique<SimtStream>(*this, role);
}

const OpTable& SimtDevice::ops() const { return op_table(); }

}  // namespace strata::STRATA_SIMT
