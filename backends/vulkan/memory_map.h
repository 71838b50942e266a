#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <shared_mutex>
#include <span>

#include "backends/vulkan/context.h"
#include "runtime/core/device.h"

namespace strata::vulkan {

/// Where an address lies.
struct Place {
  VkBuffer buffer = VK_NULL_HANDLE;
  VkDeviceSize offset = 0;
};

/// Memory of the device and of the host that copies and ops can use. Each allocation is one
/// VkBuffer with its own VkDeviceMemory; copies find them by address. Thread-safe.
class MemoryMap {
 public:
  explicit MemoryMap(Context& context) : context_(context) {}
  /// Every Buffer has been dropped.
  ~MemoryMap() = default;
  MemoryMap(const MemoryMap&) = delete;
  MemoryMap& operator=(const MemoryMap&) = delete;

  MemoryUse use() const;
  /// Throws Error{out_of_memory} with the numbers; nothing is then kept.
  Buffer allocate_device(std::size_t bytes);
  Buffer allocate_pinned(std::size_t bytes);
  std::optional<Buffer> import_host(std::span<const std::byte> bytes);

  /// The buffer of [data, data + bytes), which is of `kind` device or pinned. Throws
  /// std::logic_error when it lies in no allocation.
  Place find(const std::byte* data, std::size_t bytes, MemoryKind kind) const;

 private:
  struct Allocation {
    VkBuffer buffer = VK_NULL_HANDLE;
    VkDeviceMemory memory = VK_NULL_HANDLE;
    std::uint64_t start = 0;  ///< address of its first byte: the device's, or the host's if pinned
    std::uint64_t bytes = 0;
    std::uint64_t counted = 0;  ///< bytes of device memory taken
  };
  using Allocations = std::map<std::uint64_t, Allocation>;  // by `start`
  /// Its own record: imports that share a page may have one address.
  struct Import {
    MemoryMap& map;
    Allocation allocation;
  };

  /// A buffer of `bytes` with memory of `type` bound; `chain` extends the allocation. Undoes all on
  /// failure, which `result` says.
  VkResult create(Allocation& allocation, std::uint64_t bytes, std::uint32_t type,
                  const void* buffer_chain, const void* memory_chain) const;
  void destroy(Allocation& allocation) const;
  [[noreturn]] void throw_out_of_memory(std::size_t bytes, const char* kind, VkResult result) const;
  void insert(Allocations& allocations, const Allocation& allocation);
  void remove(Allocations& allocations, std::uint64_t data);
  static void release_device(void* map, std::byte* data, std::size_t bytes);
  static void release_pinned(void* map, std::byte* data, std::size_t bytes);
  static void release_import(void* import, std::byte* data, std::size_t bytes);

  Context& context_;
  mutable std::shared_mutex mutex_;
  Allocations device_;
  Allocations pinned_;
  std::set<Import*> imports_;
  std::atomic<std::uint64_t> ours_{0};
};

}  // namespace strata::vulkan
