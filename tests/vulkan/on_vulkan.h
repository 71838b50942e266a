#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "backends/vulkan/context.h"
#include "backends/vulkan/vulkan_device.h"
#include "backends/vulkan/vulkan_stream.h"

namespace strata::vulkan {

/// An environment variable with another value, or without one (null), for a scope.
class Variable {
 public:
  Variable(const char* name, const char* value);
  ~Variable();
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  std::string name_;
  std::string was_;
  bool had_;
};

/// Bytes that differ from their neighbours.
std::vector<std::byte> numbered(std::size_t bytes, unsigned seed = 1);

/// The first Vulkan device, with the validation layer where that is installed: what it says fails
/// the test. Skips, with the reason, without a device. Pipelines are kept in a folder of the test.
class OnVulkan : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  /// A device of its own, beside or after `device_`.
  std::unique_ptr<VulkanDevice> open() const;
  std::unique_ptr<Stream> compute() const { return device_->open_stream(StreamRole::compute); }
  /// The bytes of [data, data + bytes), as the host sees them after all of `stream`.
  static std::vector<std::byte> bytes_of(Stream& stream, BufferSpan span);
  static BufferSpan span(const Buffer& buffer, std::size_t offset, std::size_t bytes) {
    return {buffer.data() + offset, bytes, buffer.kind()};
  }
  static BufferSpan span(const Buffer& buffer) { return span(buffer, 0, buffer.bytes()); }
  static BufferSpan span(std::vector<std::byte>& bytes) {
    return {bytes.data(), bytes.size(), MemoryKind::host};
  }
  Buffer device_bytes(std::size_t bytes) const {
    return device_->allocate(bytes, MemoryKind::device);
  }
  Buffer pinned_bytes(std::size_t bytes) const {
    return device_->allocate(bytes, MemoryKind::pinned);
  }

  std::filesystem::path folder_;
  std::unique_ptr<Variable> cache_home_;
  std::shared_ptr<Instance> instance_;
  bool validated_ = false;
  std::unique_ptr<VulkanDevice> device_;
};

}  // namespace strata::vulkan
