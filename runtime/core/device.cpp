#include "runtime/core/device.h"

#include <charconv>
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

std::optional<DeviceId> device_id_of(std::string_view name) {
  const std::size_t colon = name.find(':');
  DeviceId id;
  if (colon != std::string_view::npos) {
    const char* end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + colon + 1, end, id.index);
    if (parsed.ec != std::errc() || parsed.ptr != end || id.index < 0) return std::nullopt;
  }
  for (BackendKind backend : {BackendKind::cpu, BackendKind::cuda, BackendKind::hip,
                              BackendKind::vulkan, BackendKind::sim}) {
    if (backend_name(backend) != name.substr(0, colon)) continue;
    id.backend = backend;
    return id;
  }
  return std::nullopt;
}

void Stream::await(std::uint64_t ticket) {
  if (!reached(ticket)) synchronize();
}

void Stream::begin_recording() { throw std::logic_error("this stream cannot record"); }
std::unique_ptr<Recording> Stream::end_recording() {
  throw std::logic_error("this stream cannot record");
}
void Stream::replay(const Recording&) { throw std::logic_error("this stream cannot record"); }

}  // namespace strata
