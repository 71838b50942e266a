#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backends/vulkan/functions.h"
#include "backends/vulkan/instance.h"
#include "backends/vulkan/physical_device.h"
#include "runtime/core/device.h"

namespace strata::vulkan {

/// A queue; streams that share one take its mutex to submit.
struct Queue {
  VkQueue handle = VK_NULL_HANDLE;
  std::uint32_t family = 0;
  bool computes = false;
  std::mutex mutex;
};

/// An opened device: its functions, features and queues. Thread-safe.
class Context {
 public:
  /// `physical` can be opened. Throws Error{device_missing} when the driver refuses.
  Context(std::shared_ptr<Instance> instance, PhysicalDevice physical);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  Instance& instance() const { return *instance_; }
  const PhysicalDevice& physical() const { return physical_; }
  VkDevice handle() const { return handle_; }
  const DeviceFunctions& functions() const { return functions_; }
  /// For tests, which put failing functions in their place.
  DeviceFunctions& mutable_functions() { return functions_; }
  /// "vulkan:0", the subject of errors.
  const std::string& name() const { return name_; }
  /// strata::vulkan::check with this device as the subject.
  void check(VkResult result, const char* function) const {
    vulkan::check(result, name_, function);
  }

  /// Streams of a role share a queue; roles have their own where the device has enough.
  Queue& queue(StreamRole role);
  /// Every family in use, for buffers that all of them read.
  const std::vector<std::uint32_t>& families() const { return family_indices_; }

 private:
  void open();
  void find_queues();

  std::shared_ptr<Instance> instance_;
  PhysicalDevice physical_;
  std::string name_;
  VkDevice handle_ = VK_NULL_HANDLE;
  DeviceFunctions functions_;
  std::vector<std::uint32_t> family_indices_;
  std::deque<Queue> queues_;
  Queue* roles_[3] = {};
};

}  // namespace strata::vulkan
