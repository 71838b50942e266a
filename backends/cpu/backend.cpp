#include "backends/cpu/backend.h"

#include "backends/cpu/cpu_device.h"

namespace strata::cpu {

std::unique_ptr<Device> open_device(int threads) {
  return std::make_unique<CpuDevice>(CpuDeviceOptions{threads, nullptr});
}

}  // namespace strata::cpu
