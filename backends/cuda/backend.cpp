#include "backends/cuda/backend.h"

#include <fmt/format.h>

#include <string>

#include "backends/simt/simt_backend.h"

namespace strata::cuda {
namespace {

// Both 35 (insufficient driver) and 100 (no device) stand for "no driver" and for "no device".
void explain(api::Status reason, int runtime, int driver, BackendStatus& status) {
  if (driver == 0) {
    status.reason = "no NVIDIA driver: libcuda.so.1 not found or without a kernel module";
    status.hint = fmt::format("install a driver for CUDA {} or newer", version_text(runtime));
  } else if (reason == cudaErrorInsufficientDriver && driver < runtime) {
    status.reason =
        fmt::format("the {} knows CUDA {}, and this build needs CUDA {}", api::driver_name(driver),
                    version_text(driver), version_text(runtime));
    status.hint = "install a newer NVIDIA driver, or build with an older CUDA toolkit";
  } else if (reason == cudaSuccess || reason == cudaErrorNoDevice ||
             reason == cudaErrorInsufficientDriver) {
    status.reason = fmt::format("no NVIDIA GPU is visible to the {}", api::driver_name(driver));
    status.hint = "look at nvidia-smi and at CUDA_VISIBLE_DEVICES";
  } else {
    status.reason = api::text(reason);
    status.hint = "see whether nvidia-smi works";
  }
}

}  // namespace

BackendStatus status() {
  BackendStatus status{BackendKind::cuda, false, {}, {}, {}};
  int runtime = CUDART_VERSION;
  int driver = 0;
  if (api::versions(&runtime, &driver) != api::kSuccess) api::clear_error();
  status.versions = fmt::format("CUDA {}", version_text(runtime));
  if (driver != 0) status.versions += ", " + api::driver_name(driver);
  int count = 0;
  const api::Status reason = api::device_count(&count);
  if (reason != api::kSuccess) api::clear_error();
  status.usable = reason == api::kSuccess && count > 0;
  if (!status.usable) explain(reason, runtime, driver, status);
  return status;
}

std::vector<DeviceInfo> list_devices() { return list_simt_devices(); }

std::string pci_bus_id(int index) {
  char text[32] = {};
  if (cudaDeviceGetPCIBusId(text, sizeof(text) - 1, index) == api::kSuccess) return text;
  api::clear_error();
  return {};
}

std::unique_ptr<Device> open_device(int index) { return open_simt_device(index); }

}  // namespace strata::cuda
