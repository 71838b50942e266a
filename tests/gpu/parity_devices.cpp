// The devices of a backend as the parity tests take them: its first one. STRATA_TEST_BACKEND is the
// backend's name.
#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "backends/registry.h"
#include "runtime/core/error.h"
#include "tests/parity/devices.h"

namespace strata::test {

std::vector<std::string> device_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> found;
    for (const DeviceInfo& info : list_devices({1}))
      if (backend_name(info.id.backend) == STRATA_TEST_BACKEND && info.id.index == 0)
        found.push_back(to_string(info.id));
    return found;
  }();
  return names;
}

Device& test_device(const std::string& name, int) {
  static std::map<std::string, std::unique_ptr<Device>> devices;
  auto& device = devices[name];
  if (!device) device = open_device(name, {1});
  return *device;
}

// A CPU that plays the GPU is slow.
std::int64_t largest_batch() { return 130; }

namespace {

// Without a device every test is skipped, with the backend's own words. By a listener: a skip of
// the whole program would count its cases as passed.
class NeedsDevice : public testing::EmptyTestEventListener {
 public:
  void OnTestStart(const testing::TestInfo&) override {
    if (!device_names().empty()) return;
    std::string reason = "no such device";
    for (const BackendStatus& status : backend_statuses())
      if (backend_name(status.backend) == STRATA_TEST_BACKEND && !status.reason.empty())
        reason = status.reason;
    GTEST_SKIP() << "SKIP: " << STRATA_TEST_BACKEND << ": " << reason;
  }
};
[[maybe_unused]] const bool kListens = [] {
  testing::UnitTest::GetInstance()->listeners().Append(new NeedsDevice);
  return true;
}();

}  // namespace
}  // namespace strata::test
