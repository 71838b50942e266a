#pragma once

#include <memory>
#include <vector>

#include "runtime/core/backend_status.h"
#include "runtime/core/device.h"

namespace strata::hip {

// All that the registry knows of this backend.

/// Whether a device can be opened, and why not. Never throws for lack of a driver.
BackendStatus status();

/// Every device that the driver shows, in its order.
std::vector<DeviceInfo> list_devices();

/// Opens device `index`. Throws Error{device_missing} with the reason when it cannot be used.
std::unique_ptr<Device> open_device(int index);

}  // namespace strata::hip
