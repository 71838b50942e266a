#include "runtime/core/device.h"

namespace strata {

std::string_view backend_name(BackendKind backend) {
  switch (backend) {
    case BackendKind::cpu:
      return "cpu";
    case BackendKind::cuda:
      return "cuda";
    case BackendKind::hip:
      return "hip";
    case BackendKind::vulkan:
      return "vulkan";
  }
  return "?";
}

std::string to_string(const DeviceId& id) {
  return std::string(backend_name(id.backend)) + ":" + std::to_string(id.index);
}

}  // namespace strata
