#pragma once

#include <memory>
#include <vector>

#include "backends/simt/simt_device.h"

namespace strata::STRATA_SIMT {

/// Every device of the vendor's runtime; none when it has no driver. Does not throw, and opens
/// none.
std::vector<DeviceInfo> list_simt_devices();

/// Opens device `index`. Throws Error{device_missing} with the reason, and Error{usage} when
/// matmul_wish() does.
std::unique_ptr<Device> open_simt_device(int index);

/// "13.0" of the 13000 that the runtimes call it.
std::string version_text(int version);

}  // namespace strata::STRATA_SIMT
