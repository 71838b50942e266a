#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/core/backend_status.h"
#include "runtime/core/device.h"
#include "runtime/core/product_paths.h"

namespace strata::vulkan {

// All that the registry knows of this backend.

/// Whether a device can be opened, and why not. Never throws for lack of a loader or a driver.
BackendStatus status();

/// Every device that can be opened, in the order of their indices: discrete GPUs first, then
/// integrated, virtual, and CPU drivers.
std::vector<DeviceInfo> list_devices();

/// What is there but cannot be used: "NAME: what it lacks".
std::vector<std::string> refused_devices();

/// Opens device `index` of list_devices(). Throws Error{device_missing} with the reason when it is
/// not there.
std::unique_ptr<Device> open_device(int index);

/// How device `index` of list_devices() multiplies; all empty when it is not there. Opens nothing.
ProductPaths product_paths(int index);

/// A short run of each kind (under half a second in all) on a device that open_device() opened.
Ceilings measure_ceilings(Device& device);

}  // namespace strata::vulkan
