// The simulated SIMT devices as the parity tests take them: both lane counts, each with an order of
// its own of threads and blocks.
#include "tests/parity/devices.h"

#include <map>
#include <memory>

#include "tests/simt_host/simt_host.h"

namespace strata::test {

std::vector<std::string> device_names() { return {"simt-host, 32 lanes", "simt-host, 64 lanes"}; }

Device& test_device(const std::string& name, int) {
  static std::map<std::string, std::unique_ptr<Device>> devices;
  auto& device = devices[name];
  if (!device) {
    const bool narrow = name == device_names()[0];
    device = open_simt_host(narrow ? 32 : 64, narrow ? 1 : 2);
  }
  return *device;
}

// Every barrier is a switch of fibers.
std::int64_t largest_batch() { return 33; }

}  // namespace strata::test
