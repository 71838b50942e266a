#include "backends/cpu/backend.h"

#include "backends/cpu/cpu_device.h"

namespace strata::cpu {

std::unique_ptr<Device> open_device(int threads, int batch_threads) {
  return std::make_unique<CpuDevice>(CpuDeviceOptions{threads, nullptr, batch_threads});
}

}  // namespace strata::cpu
