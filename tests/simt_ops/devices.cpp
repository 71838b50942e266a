// The simulated SIMT devices as the parity tests take them: both lane counts, each with an order of
// its own of threads and blocks. With STRATA_SIMT_SCHEDULES=N each lane count comes with N orders,
// and operands have few rows.
#include "tests/parity/devices.h"

#include <cstdlib>
#include <map>
#include <memory>

#include "tests/simt_host/simt_host.h"

namespace strata::test {
namespace {

unsigned schedules() {
  const char* const asked = std::getenv("STRATA_SIMT_SCHEDULES");
  return asked == nullptr ? 1 : static_cast<unsigned>(std::strtoul(asked, nullptr, 10));
}

struct Simulated {
  int lanes;
  unsigned seed;
};

const std::map<std::string, Simulated>& simulated() {
  static const std::map<std::string, Simulated> all = [] {
    std::map<std::string, Simulated> devices;
    for (unsigned seed = 1; seed <= schedules(); ++seed)
      for (const int lanes : {32, 64})
        devices["simt-host, " + std::to_string(lanes) + " lanes, order " + std::to_string(seed)] = {
            lanes, seed};
    return devices;
  }();
  return all;
}

}  // namespace

std::vector<std::string> device_names() {
  std::vector<std::string> names;
  for (const auto& [name, device] : simulated()) names.push_back(name);
  return names;
}

Device& test_device(const std::string& name, int) {
  static std::map<std::string, std::unique_ptr<Device>> devices;
  auto& device = devices[name];
  if (!device) {
    const Simulated& what = simulated().at(name);
    device = open_simt_host(what.lanes, what.seed);
  }
  return *device;
}

// Every barrier is a switch of fibers.
std::int64_t largest_batch() { return schedules() > 1 ? 3 : 33; }

}  // namespace strata::test
