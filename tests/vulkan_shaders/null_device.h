#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "backends/vulkan/api.h"

namespace strata::vulkan {

/// Mesa's RADV without a GPU: it compiles pipelines for a family of AMD GPUs and tells what they
/// need. Nothing can be run on it.
class NullDevice {
 public:
  /// `family` as today's RADV_FORCE_FAMILY knows it, "navi21". Null where the loader, the driver
  /// or its statistics are not there; `reason` says what.
  static std::unique_ptr<NullDevice> open(const std::string& family, std::string& reason);
  ~NullDevice();
  NullDevice(const NullDevice&) = delete;
  NullDevice& operator=(const NullDevice&) = delete;

  /// Whether the family, and this RADV, have cooperative matrices.
  bool has_coopmat() const { return has_coopmat_; }

  /// The driver's statistics of a compute pipeline, by their names. Empty when it was not made.
  /// `subgroup`: its lanes; 0 leaves them to the driver.
  std::map<std::string, std::uint64_t> statistics(std::span<const std::uint32_t> code,
                                                  std::span<const std::uint32_t> constants,
                                                  std::uint32_t subgroup = 0);

 private:
  NullDevice() = default;
  bool create(std::string& reason);
  bool create_device(VkPhysicalDevice physical);
  template <class Function>
  Function function(const char* name) const;
  std::map<std::string, std::uint64_t> read(VkPipeline pipeline);

  void* loader_ = nullptr;
  PFN_vkGetInstanceProcAddr get_ = nullptr;
  VkInstance instance_{};
  VkDevice device_{};
  VkPipelineLayout layout_{};
  bool has_coopmat_ = false;
};

}  // namespace strata::vulkan
