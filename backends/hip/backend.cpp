#include "backends/hip/backend.h"

#include <fmt/format.h>
#include <strata_seam.h>

#include <string>

#include "backends/simt/simt_backend.h"

namespace strata::hip {
namespace {

#if defined(__HIP_PLATFORM_NVIDIA__)
constexpr const char* kVendor = "NVIDIA";
constexpr const char* kHint = "look at nvidia-smi and at CUDA_VISIBLE_DEVICES";
// There the versions are CUDA's.
std::string versions_text(int runtime, int driver) {
  std::string text = fmt::format("HIP {}.{} on CUDA {}", HIP_VERSION_MAJOR, HIP_VERSION_MINOR,
                                 version_text(runtime));
  if (driver != 0) text += fmt::format(", driver for CUDA {}", version_text(driver));
  return text;
}
#else
constexpr const char* kVendor = "AMD";
constexpr const char* kHint =
    "see whether the kernel module amdgpu is loaded, /dev/kfd can be opened (group render) and "
    "HIP_VISIBLE_DEVICES hides nothing";
std::string versions_text(int runtime, int) {
  std::string text = fmt::format("built with HIP {}.{}", HIP_VERSION_MAJOR, HIP_VERSION_MINOR);
  // 50221153 is 5.2.21153.
  if (runtime > 0)
    text += fmt::format(", runtime {}.{}", runtime / 10000000, runtime / 100000 % 100);
  return text;
}
#endif

}  // namespace

BackendStatus status() {
  BackendStatus status{BackendKind::hip, false, {}, {}, {}};
  int runtime = 0;
  int driver = 0;
  if (api::versions(&runtime, &driver) != api::kSuccess) api::clear_error();
  status.versions = versions_text(runtime, driver);
  int count = 0;
  const api::Status reason = api::device_count(&count);
  if (reason != api::kSuccess) api::clear_error();
  status.usable = reason == api::kSuccess && count > 0;
  if (status.usable) return status;
  // 35 and 100 both stand for "no driver" and for "no device".
  const bool none =
      reason == api::kSuccess || reason == hipErrorNoDevice || reason == hipErrorInsufficientDriver;
  status.reason = none ? fmt::format("no {} GPU, or no driver for it", kVendor) : api::text(reason);
  status.hint = kHint;
  return status;
}

std::vector<DeviceInfo> list_devices() { return list_simt_devices(); }

std::unique_ptr<Device> open_device(int index) { return open_simt_device(index); }

}  // namespace strata::hip

// What the registry asks the module for.
extern "C" __attribute__((visibility("default"))) const strata::BackendModule* strata_backend() {
  static const strata::BackendModule module = {
      strata::kSeam, {&strata::hip::status, &strata::hip::list_devices, &strata::hip::open_device}};
  return &module;
}
