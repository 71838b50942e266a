#include "backends/vulkan/memory_map.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

#include "runtime/core/error.h"

namespace strata::vulkan {
namespace {

// What Device::allocate promises.
constexpr std::uint64_t kAlignment = 64;
constexpr VkExternalMemoryHandleTypeFlagBits kHostMemory =
    VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT;
constexpr VkBufferUsageFlags kUsage =
    VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT |
    VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT;

std::uint64_t round_up(std::uint64_t value, std::uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

std::uint64_t number(const std::byte* data) { return reinterpret_cast<std::uint64_t>(data); }

std::uint64_t device_address(const Context& context, VkBuffer buffer) {
  auto info = make<VkBufferDeviceAddressInfo>(VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO);
  info.buffer = buffer;
  return context.functions().vkGetBufferDeviceAddress(context.handle(), &info);
}

}  // namespace

MemoryUse MemoryMap::use() const {
  const PhysicalDevice& physical = context_.physical();
  const std::uint32_t heap = physical.memory.memoryTypes[physical.device_memory_type].heapIndex;
  MemoryUse use;
  use.total = physical.memory.memoryHeaps[heap].size;
  use.ours = ours_.load(std::memory_order_relaxed);
  use.free = use.total - std::min(use.total, use.ours);
  if (physical.has(VK_EXT_MEMORY_BUDGET_EXTENSION_NAME)) {
    auto budget = make<VkPhysicalDeviceMemoryBudgetPropertiesEXT>(
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT);
    auto memory = make<VkPhysicalDeviceMemoryProperties2>(
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2);
    memory.pNext = &budget;
    context_.instance().functions().vkGetPhysicalDeviceMemoryProperties2(physical.handle, &memory);
    const std::uint64_t most = budget.heapBudget[heap];
    use.free = std::min(use.free, most - std::min(most, budget.heapUsage[heap]));
  }
  return use;
}

VkResult MemoryMap::create(Allocation& allocation, std::uint64_t bytes, std::uint32_t type,
                           const void* buffer_chain, const void* memory_chain) const {
  const DeviceFunctions& f = context_.functions();
  const VkDevice device = context_.handle();
  auto buffer = make<VkBufferCreateInfo>(VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO);
  buffer.pNext = buffer_chain;
  buffer.size = bytes;
  buffer.usage = kUsage;
  buffer.sharingMode = VK_SHARING_MODE_EXCLUSIVE;
  if (context_.families().size() > 1) {
    buffer.sharingMode = VK_SHARING_MODE_CONCURRENT;
    buffer.queueFamilyIndexCount = static_cast<std::uint32_t>(context_.families().size());
    buffer.pQueueFamilyIndices = context_.families().data();
  }
  VkResult result = f.vkCreateBuffer(device, &buffer, nullptr, &allocation.buffer);
  if (result != VK_SUCCESS) {
    allocation.buffer = VK_NULL_HANDLE;
    return result;
  }
  VkMemoryRequirements needs{};
  f.vkGetBufferMemoryRequirements(device, allocation.buffer, &needs);
  auto flags = make<VkMemoryAllocateFlagsInfo>(VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO);
  flags.pNext = memory_chain;
  flags.flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT;
  auto memory = make<VkMemoryAllocateInfo>(VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO);
  memory.pNext = &flags;
  // Imported memory has the size that it has.
  memory.allocationSize = memory_chain != nullptr ? bytes : needs.size;
  memory.memoryTypeIndex = type;
  result = needs.size > memory.allocationSize || (needs.memoryTypeBits >> type & 1U) == 0
               ? VK_ERROR_FEATURE_NOT_PRESENT
               : f.vkAllocateMemory(device, &memory, nullptr, &allocation.memory);
  if (result != VK_SUCCESS) allocation.memory = VK_NULL_HANDLE;
  if (result == VK_SUCCESS)
    result = f.vkBindBufferMemory(device, allocation.buffer, allocation.memory, 0);
  if (result != VK_SUCCESS) {
    destroy(allocation);
    return result;
  }
  allocation.bytes = bytes;
  return VK_SUCCESS;
}

void MemoryMap::destroy(Allocation& allocation) const {
  const DeviceFunctions& f = context_.functions();
  f.vkDestroyBuffer(context_.handle(), allocation.buffer, nullptr);
  f.vkFreeMemory(context_.handle(), allocation.memory, nullptr);
  allocation = {};
}

void MemoryMap::throw_out_of_memory(std::size_t bytes, const char* kind, VkResult result) const {
  const MemoryUse now = use();
  const std::uint64_t most = context_.physical().limits.max_buffer_bytes;
  if (bytes > most)
    throw Error(ErrorCode::out_of_memory, context_.name(),
                fmt::format("need {} bytes of {} memory at once, the driver gives at most {}",
                            bytes, kind, most),
                "use a smaller context or batch, or another backend for this device");
  throw Error(ErrorCode::out_of_memory, context_.name(),
              fmt::format("need {} bytes of {} memory, free {} of {} ({} allocated by this device; "
                          "{})",
                          bytes, kind, now.free, now.total, now.ours, result_text(result)),
              "use a smaller context or model, or free memory");
}

Buffer MemoryMap::allocate_device(std::size_t bytes) {
  const PhysicalDevice& physical = context_.physical();
  const std::uint64_t rounded = round_up(std::max<std::uint64_t>(bytes, 1), kAlignment);
  const std::uint32_t heap = physical.memory.memoryTypes[physical.device_memory_type].heapIndex;
  const std::uint64_t total = physical.memory.memoryHeaps[heap].size;
  const std::uint64_t ours = ours_.fetch_add(rounded);
  Allocation allocation;
  VkResult result = VK_ERROR_OUT_OF_DEVICE_MEMORY;
  if (bytes <= physical.limits.max_buffer_bytes && rounded <= total - std::min(total, ours))
    result = create(allocation, rounded, physical.device_memory_type, nullptr, nullptr);
  if (result != VK_SUCCESS) {
    ours_.fetch_sub(rounded);
    throw_out_of_memory(bytes, "device", result);
  }
  allocation.counted = rounded;
  allocation.start = device_address(context_, allocation.buffer);
  if (allocation.start % kAlignment != 0) {
    const std::uint64_t address = allocation.start;
    destroy(allocation);
    ours_.fetch_sub(rounded);
    throw Error(ErrorCode::runtime, context_.name(),
                fmt::format("the driver gave the address {:#x}, which is not a multiple of {}",
                            address, kAlignment));
  }
  insert(device_, allocation);
  return {reinterpret_cast<std::byte*>(allocation.start), bytes, MemoryKind::device,
          &MemoryMap::release_device, this};
}

Buffer MemoryMap::allocate_pinned(std::size_t bytes) {
  const PhysicalDevice& physical = context_.physical();
  const std::uint64_t rounded = round_up(std::max<std::uint64_t>(bytes, 1), kAlignment);
  Allocation allocation;
  VkResult result = VK_ERROR_OUT_OF_HOST_MEMORY;
  if (bytes <= physical.limits.max_buffer_bytes)
    result = create(allocation, rounded, physical.pinned_memory_type, nullptr, nullptr);
  void* host = nullptr;
  if (result == VK_SUCCESS) {
    result = context_.functions().vkMapMemory(context_.handle(), allocation.memory, 0,
                                              VK_WHOLE_SIZE, 0, &host);
    if (result != VK_SUCCESS) destroy(allocation);
  }
  if (result != VK_SUCCESS) throw_out_of_memory(bytes, "pinned", result);
  allocation.start = reinterpret_cast<std::uint64_t>(host);
  insert(pinned_, allocation);
  return {static_cast<std::byte*>(host), bytes, MemoryKind::pinned, &MemoryMap::release_pinned,
          this};
}

std::optional<Buffer> MemoryMap::import_host(std::span<const std::byte> bytes) {
  const PhysicalDevice& physical = context_.physical();
  const DeviceFunctions& f = context_.functions();
  const std::uint64_t unit = physical.limits.import_alignment;
  // Ops read by words of 32 bits. Growing to whole pages stays within what is mapped.
  constexpr std::uint64_t kWord = 4;
  const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  const std::uint64_t first = number(bytes.data());
  if (unit == 0 || f.vkGetMemoryHostPointerPropertiesEXT == nullptr || page % unit != 0 ||
      bytes.empty() || first % kWord != 0)
    return std::nullopt;
  const std::uint64_t begin = first / unit * unit;
  const std::uint64_t end = round_up(first + bytes.size(), unit);
  if (end - begin > physical.limits.max_buffer_bytes) return std::nullopt;
  auto import =
      make<VkImportMemoryHostPointerInfoEXT>(VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT);
  import.handleType = kHostMemory;
  import.pHostPointer = reinterpret_cast<void*>(begin);
  auto types =
      make<VkMemoryHostPointerPropertiesEXT>(VK_STRUCTURE_TYPE_MEMORY_HOST_POINTER_PROPERTIES_EXT);
  if (f.vkGetMemoryHostPointerPropertiesEXT(context_.handle(), kHostMemory, import.pHostPointer,
                                            &types) != VK_SUCCESS ||
      types.memoryTypeBits == 0)
    return std::nullopt;
  std::uint32_t type = 0;
  while ((types.memoryTypeBits >> type & 1U) == 0) ++type;
  auto external =
      make<VkExternalMemoryBufferCreateInfo>(VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO);
  external.handleTypes = kHostMemory;
  Allocation allocation;
  if (create(allocation, end - begin, type, &external, &import) != VK_SUCCESS) return std::nullopt;
  allocation.start = device_address(context_, allocation.buffer);
  auto* kept = new Import{*this, allocation};
  {
    const std::unique_lock lock(mutex_);
    imports_.insert(kept);
  }
  return Buffer(reinterpret_cast<std::byte*>(allocation.start + (first - begin)), bytes.size(),
                MemoryKind::device, &MemoryMap::release_import, kept);
}

Place MemoryMap::find(const std::byte* data, std::size_t bytes, MemoryKind kind) const {
  const Allocations& allocations = kind == MemoryKind::pinned ? pinned_ : device_;
  const std::uint64_t address = number(data);
  const auto holds = [&](const Allocation& allocation) {
    const std::uint64_t offset = address - allocation.start;
    return address >= allocation.start && offset <= allocation.bytes &&
           bytes <= allocation.bytes - offset;
  };
  const std::shared_lock lock(mutex_);
  auto at = allocations.upper_bound(address);
  if (at != allocations.begin() && holds((--at)->second))
    return {at->second.buffer, address - at->second.start};
  if (kind == MemoryKind::device)
    for (const Import* import : imports_)
      if (holds(import->allocation))
        return {import->allocation.buffer, address - import->allocation.start};
  throw std::logic_error(fmt::format("{}: {} bytes at {:#x} lie in no {} allocation",
                                     context_.name(), bytes, address,
                                     kind == MemoryKind::pinned ? "pinned" : "device"));
}

void MemoryMap::insert(Allocations& allocations, const Allocation& allocation) {
  const std::unique_lock lock(mutex_);
  allocations.emplace(allocation.start, allocation);
}

void MemoryMap::remove(Allocations& allocations, std::uint64_t data) {
  Allocation allocation;
  {
    const std::unique_lock lock(mutex_);
    const auto at = allocations.find(data);
    if (at == allocations.end()) return;
    allocation = at->second;
    allocations.erase(at);
  }
  ours_.fetch_sub(allocation.counted);
  destroy(allocation);
}

void MemoryMap::release_device(void* map, std::byte* data, std::size_t) {
  auto* self = static_cast<MemoryMap*>(map);
  self->remove(self->device_, number(data));
}

void MemoryMap::release_pinned(void* map, std::byte* data, std::size_t) {
  auto* self = static_cast<MemoryMap*>(map);
  self->remove(self->pinned_, number(data));
}

void MemoryMap::release_import(void* import, std::byte*, std::size_t) {
  auto* kept = static_cast<Import*>(import);
  {
    const std::unique_lock lock(kept->map.mutex_);
    kept->map.imports_.erase(kept);
  }
  kept->map.destroy(kept->allocation);
  delete kept;
}

}  // namespace strata::vulkan
