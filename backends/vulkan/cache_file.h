#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backends/vulkan/physical_device.h"

namespace strata::vulkan {

/// Where the pipelines of this device and driver are kept: $XDG_CACHE_HOME/strata or
/// ~/.cache/strata; nullopt when neither variable says where.
std::optional<std::string> cache_path(const PhysicalDevice& device);

/// The data that write_cache() wrote; empty when the file is missing, damaged or of another device.
std::vector<std::byte> read_cache(const std::string& path, const PhysicalDevice& device);

/// Replaces the file as a whole. False when it cannot: a cache that cannot be kept is no error.
bool write_cache(const std::string& path, std::span<const std::byte> data);

}  // namespace strata::vulkan
