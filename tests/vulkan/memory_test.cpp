#include <gmock/gmock.h>

#include <algorithm>
#include <cstring>

#include "runtime/core/error.h"
#include "tests/vulkan/on_vulkan.h"

namespace strata::vulkan {
namespace {

using testing::HasSubstr;

std::uint64_t number(const std::byte* data) { return reinterpret_cast<std::uint64_t>(data); }

class VulkanMemory : public OnVulkan {};

TEST_F(VulkanMemory, AllocationsAreAlignedCountedAndGivenBack) {
  {
    const Buffer a = device_bytes(1000);
    const Buffer b = device_bytes(1);
    const Buffer c = device_bytes(0);
    for (const Buffer* buffer : {&a, &b, &c}) {
      EXPECT_NE(buffer->data(), nullptr);
      EXPECT_EQ(number(buffer->data()) % 64, 0U);
      EXPECT_EQ(buffer->kind(), MemoryKind::device);
    }
    EXPECT_EQ(a.bytes(), 1000U);
    EXPECT_EQ(device_->memory().ours, 1024U + 64U + 64U);
    EXPECT_LE(device_->memory().free, device_->memory().total - 1152);
  }
  EXPECT_EQ(device_->memory().ours, 0U);
}

TEST_F(VulkanMemory, PinnedAndHostMemoryAreTheHosts) {
  for (MemoryKind kind : {MemoryKind::pinned, MemoryKind::host}) {
    const Buffer buffer = device_->allocate(5000, kind);
    EXPECT_EQ(number(buffer.data()) % 64, 0U);
    EXPECT_EQ(buffer.kind(), kind);
    std::memset(buffer.data(), 7, buffer.bytes());
    EXPECT_EQ(device_->memory().ours, 0U);
  }
}

TEST_F(VulkanMemory, WhatIsTooMuchIsRefusedWithTheNumbers) {
  const Buffer kept = device_bytes(4096);
  const std::uint64_t total = device_->memory().total;
  try {
    device_bytes(total);
    FAIL() << "all of the memory was given though some of it was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::out_of_memory);
    EXPECT_EQ(error.subject(), "vulkan:0");
    EXPECT_THAT(error.detail(), HasSubstr(std::to_string(total)));
    EXPECT_FALSE(error.hint().empty());
  }
  const std::uint64_t most = device_->limits().max_buffer_bytes;
  for (MemoryKind kind : {MemoryKind::device, MemoryKind::pinned})
    EXPECT_THROW(device_->allocate(most + 1, kind), Error);
  EXPECT_EQ(device_->memory().ours, 4096U);
}

// Which call of the driver fails, and how many are let through before.
struct Fault {
  static inline DeviceFunctions real;
  static inline int remaining = 0;
  static bool strikes() { return remaining-- == 0; }
};
VKAPI_ATTR VkResult VKAPI_CALL failing_create(VkDevice device, const VkBufferCreateInfo* info,
                                              const VkAllocationCallbacks* callbacks,
                                              VkBuffer* buffer) {
  if (Fault::strikes()) return VK_ERROR_OUT_OF_HOST_MEMORY;
  return Fault::real.vkCreateBuffer(device, info, callbacks, buffer);
}
VKAPI_ATTR VkResult VKAPI_CALL failing_allocate(VkDevice device, const VkMemoryAllocateInfo* info,
                                                const VkAllocationCallbacks* callbacks,
                                                VkDeviceMemory* memory) {
  if (Fault::strikes()) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
  return Fault::real.vkAllocateMemory(device, info, callbacks, memory);
}
VKAPI_ATTR VkResult VKAPI_CALL failing_bind(VkDevice device, VkBuffer buffer, VkDeviceMemory memory,
                                            VkDeviceSize offset) {
  if (Fault::strikes()) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
  return Fault::real.vkBindBufferMemory(device, buffer, memory, offset);
}
VKAPI_ATTR VkResult VKAPI_CALL failing_map(VkDevice device, VkDeviceMemory memory,
                                           VkDeviceSize offset, VkDeviceSize bytes,
                                           VkMemoryMapFlags flags, void** data) {
  if (Fault::strikes()) return VK_ERROR_MEMORY_MAP_FAILED;
  return Fault::real.vkMapMemory(device, memory, offset, bytes, flags, data);
}

// Every allocation of three of each kind fails once, in each of the driver's calls; what leaks is
// seen by the validation layer when the device goes.
TEST_F(VulkanMemory, AnyFailingAllocationLeavesNothingBehind) {
  DeviceFunctions& functions = device_->context().mutable_functions();
  Fault::real = functions;
  const auto allocate_all = [&] {
    std::vector<Buffer> buffers;
    for (int i = 0; i < 3; ++i) {
      buffers.push_back(device_bytes(256));
      buffers.push_back(pinned_bytes(256));
    }
  };
  for (int call = 0; call < 4; ++call) {
    const int calls = call < 3 ? 6 : 3;  // only pinned memory is mapped
    for (int nth = 0; nth < calls; ++nth) {
      Fault::remaining = nth;
      if (call == 0) functions.vkCreateBuffer = failing_create;
      if (call == 1) functions.vkAllocateMemory = failing_allocate;
      if (call == 2) functions.vkBindBufferMemory = failing_bind;
      if (call == 3) functions.vkMapMemory = failing_map;
      try {
        allocate_all();
        ADD_FAILURE() << "call " << call << " number " << nth << " did not fail";
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::out_of_memory);
      }
      functions = Fault::real;
      EXPECT_EQ(device_->memory().ours, 0U);
      allocate_all();
    }
  }
}

TEST_F(VulkanMemory, ManyAllocationsAreFoundByTheirAddress) {
  auto stream = compute();
  std::vector<Buffer> buffers;
  for (std::size_t i = 0; i < 100; ++i) {
    buffers.push_back(i % 3 == 0 ? pinned_bytes(256 + i) : device_bytes(256 + i));
    stream->fill(span(buffers.back()), static_cast<std::byte>(i));
  }
  stream->synchronize();
  for (std::size_t i = 0; i < buffers.size(); i += 7) buffers[i] = Buffer();
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    if (buffers[i].data() == nullptr) continue;
    EXPECT_EQ(bytes_of(*stream, span(buffers[i], 255, 1)).at(0), static_cast<std::byte>(i));
  }
}

TEST_F(VulkanMemory, AddressesOfNoAllocationAreAnErrorOfTheCaller) {
  auto stream = compute();
  const Buffer buffer = device_bytes(64);
  EXPECT_THROW(stream->fill(span(buffer, 32, 64), std::byte{0}), std::logic_error);
  EXPECT_THROW(stream->fill({nullptr, 4, MemoryKind::pinned}, std::byte{0}), std::logic_error);
}

}  // namespace
}  // namespace strata::vulkan
