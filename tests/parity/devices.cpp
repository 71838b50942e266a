#include "tests/parity/devices.h"

#include <gtest/gtest.h>

namespace strata::test {

void for_each_device(int threads, const std::function<void(Device&)>& body) {
  for (const std::string& name : device_names()) {
    SCOPED_TRACE(name);
    body(test_device(name, threads));
  }
}

std::vector<std::int64_t> batches(std::vector<std::int64_t> all) {
  std::erase_if(all, [](std::int64_t rows) { return rows > largest_batch(); });
  return all;
}

bool exact_bits(const Device& device) { return device.info().id.backend == BackendKind::cpu; }

double function_slack(const Device& device) { return exact_bits(device) ? 1 : 4; }

double sum_roundings(const Device& device, double terms) {
  return exact_bits(device) ? terms / 16 + 4 : terms + 8;
}

}  // namespace strata::test
