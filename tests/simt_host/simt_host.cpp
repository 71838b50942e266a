#include "tests/simt_host/simt_host.h"

#include <deque>
#include <mutex>

#include "backends/simt/simt_device.h"

namespace strata::simt_host {
namespace {

struct Machines {
  std::mutex mutex;
  std::deque<Machine> all;
};

Machines& machines() {
  static Machines instance;
  return instance;
}

}  // namespace

std::unique_ptr<Device> open_simt_host(int lanes, unsigned seed) {
  int index = 0;
  {
    const std::lock_guard lock(machines().mutex);
    index = static_cast<int>(machines().all.size());
    Machine& machine = machines().all.emplace_back();
    machine.lanes = lanes;
    machine.seed = seed;
  }
  std::unique_ptr<Device> device = std::make_unique<SimtDevice>(index);
  Machine& machine = machine_of(*device);
  machine.launches = 0;  // opening it does not count
  machine.allocations = 0;
  return device;
}

Machine* find_machine(int index) {
  const std::lock_guard lock(machines().mutex);
  const auto i = static_cast<std::size_t>(index);
  return i < machines().all.size() ? &machines().all[i] : nullptr;
}

int machine_count() {
  const std::lock_guard lock(machines().mutex);
  return static_cast<int>(machines().all.size());
}

Machine& machine_of(const Device& device) { return *find_machine(device.info().id.index); }

}  // namespace strata::simt_host
