#include "runtime/core/device.h"

#include <stdexcept>

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
    case BackendKind::sim:
      return "sim";
    case BackendKind::simt_host:
      return "simt-host";
  }
  return "?";
}

std::string to_string(const DeviceId& id) {
  return std::string(backend_name(id.backend)) + ":" + std::to_string(id.index);
}

void Stream::begin_recording() { throw std::logic_error("this stream cannot record"); }
std::unique_ptr<Recording> Stream::end_recording() {
  throw std::logic_error("this stream cannot record");
}
void Stream::replay(const Recording&) { throw std::logic_error("this stream cannot record"); }

}  // namespace strata
