#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backends/vulkan/functions.h"

namespace strata::vulkan {

struct InstanceOptions {
  std::string library = "libvulkan.so.1";  ///< the loader
  /// Khronos' validation layer, core and synchronisation: slow, for tests and for finding faults.
  bool validation = false;
};

/// A connection to the drivers. Thread-safe.
class Instance {
 public:
  /// Throws Error{device_missing}: no loader, no driver, no validation layer though it was asked
  /// for.
  explicit Instance(const InstanceOptions& options);
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  VkInstance handle() const { return handle_; }
  const InstanceFunctions& functions() const { return functions_; }
  std::uint32_t version() const { return version_; }  ///< VK_API_VERSION_1_2 or _1_3
  /// In the order of the drivers. Throws Error{device_missing}.
  std::vector<VkPhysicalDevice> physical_devices() const;

  /// What the validation layer has said since the last call.
  std::vector<std::string> take_messages();
  void add_message(std::string text);

 private:
  void create(bool validation);
  void open_messenger();

  GlobalFunctions global_;
  InstanceFunctions functions_;
  VkInstance handle_ = VK_NULL_HANDLE;
  VkDebugUtilsMessengerEXT messenger_ = VK_NULL_HANDLE;
  std::uint32_t version_ = 0;
  std::mutex mutex_;
  std::vector<std::string> messages_;
};

/// The process's instance, made at the first call that finds a driver and kept.
/// STRATA_VULKAN_VALIDATION=1 switches the validation layer on: what it says is thrown by the next
/// synchronize() of a stream.
std::shared_ptr<Instance> shared_instance();

}  // namespace strata::vulkan
