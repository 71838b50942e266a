#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/core/backend_status.h"
#include "runtime/core/device.h"

namespace strata::cuda {

// All that the registry knows of this backend.

/// Whether a device can be opened, and why not. Never throws for lack of a driver.
BackendStatus status();

/// Every device that the driver shows, in its order.
std::vector<DeviceInfo> list_devices();

/// "0000:65:00.0", by which other libraries know device `index`; "" when it is not there.
std::string pci_bus_id(int index);

/// Opens device `index`. Throws Error{device_missing} with the reason when it cannot be used.
std::unique_ptr<Device> open_device(int index);

}  // namespace strata::cuda
