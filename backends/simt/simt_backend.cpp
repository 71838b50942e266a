#include "backends/simt/simt_backend.h"

#include <fmt/format.h>

#include "runtime/core/error.h"

namespace strata::STRATA_SIMT {

std::string version_text(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

std::vector<DeviceInfo> list_simt_devices() {
  int count = 0;
  if (api::device_count(&count) != api::kSuccess) {
    api::clear_error();
    return {};
  }
  std::vector<DeviceInfo> devices;
  for (int index = 0; index < count; ++index) {
    Properties found;
    if (api::properties(index, &found) == api::kSuccess)
      devices.push_back(device_info(index, found));
    else
      api::clear_error();
  }
  return devices;
}

std::unique_ptr<Device> open_simt_device(int index) { return std::make_unique<SimtDevice>(index); }

}  // namespace strata::STRATA_SIMT
