#include "tests/ops/cpu_devices.h"

#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <memory>
#include <utility>

#include "tests/parity/devices.h"

namespace strata::test {

// The parity tests of this program: every instruction set is a device.
std::vector<std::string> device_names() { return weights::runnable_isas(); }
Device& test_device(const std::string& name, int threads) {
  return weights::cpu_device(name, threads);
}
std::int64_t largest_batch() { return std::numeric_limits<std::int64_t>::max(); }

void for_each_isa(int threads, const std::function<void(cpu::CpuDevice&)>& body) {
  for (const std::string& isa : weights::runnable_isas()) {
    SCOPED_TRACE("ISA " + isa);
    cpu::CpuDevice device({threads, isa.c_str()});
    body(device);
  }
}

namespace weights {

std::vector<std::string> runnable_isas() {
  std::vector<std::string> names;
  std::size_t count = 0;
  const cpu::IsaVariant* variants = cpu::isa_variants(&count);
  for (std::size_t i = 0; i < count; ++i)
    if (variants[i].supported) names.emplace_back(variants[i].name);
  return names;
}

cpu::CpuDevice& cpu_device(const std::string& isa, int threads) {
  static std::map<std::pair<std::string, int>, std::unique_ptr<cpu::CpuDevice>> devices;
  auto& device = devices[{isa, threads}];
  if (!device)
    device = std::make_unique<cpu::CpuDevice>(cpu::CpuDeviceOptions{threads, isa.c_str()});
  return *device;
}

}  // namespace weights
}  // namespace strata::test
