#include "backends/cpu/ceilings.h"

#include <gtest/gtest.h>

#include <vector>

#include "backends/cpu/kernels/ceilings.h"
#include "backends/registry.h"
#include "tests/ops/cpu_devices.h"
#include "tests/parity/weight_ops.h"

namespace strata::test {
namespace {

TEST(Ceilings, EveryVariantHasThoseOfItsInstructions) {
  for (const std::string& isa : weights::runnable_isas()) {
    SCOPED_TRACE(isa);
    const cpu::Kernels& kernels = cpu::select_kernels(isa.c_str());
    double operations = -1;
    kernels.peak_f32(3, &operations);
    EXPECT_GT(operations, 0);
    kernels.peak_int8(3, &operations);
    EXPECT_EQ(operations > 0, isa != "baseline");
    kernels.peak_bf16(3, &operations);
    EXPECT_EQ(operations > 0, isa == "avx512bf16" || isa == "neon_i8mm");
  }
}

TEST(Ceilings, EveryByteIsRead) {
  alignas(64) static std::byte data[3 * cpu::kReadGrain];
  for (const std::string& isa : weights::runnable_isas()) {
    const cpu::Kernels& kernels = cpu::select_kernels(isa.c_str());
    for (int shape = 0; shape < cpu::kReadShapes; ++shape) {
      for (std::byte& byte : data) {
        std::uint64_t checksum = 0;
        kernels.read_bytes(data, sizeof(data), shape, &checksum);
        ASSERT_EQ(checksum, 0u) << isa;
        byte = std::byte{4};
        kernels.read_bytes(data, sizeof(data), shape, &checksum);
        ASSERT_NE(checksum, 0u) << isa << ", shape " << shape << ", byte " << (&byte - data);
        byte = std::byte{0};
      }
    }
  }
}

TEST(Ceilings, TheRegistryMeasuresTheCpu) {
  const std::unique_ptr<Device> device = open_device("cpu", {1});
  const Ceilings ceilings = measure_ceilings(*device);
  EXPECT_GT(ceilings.read_bytes_per_second, 0);
  EXPECT_GT(ceilings.f32_flops_per_second, 0);
}

}  // namespace
}  // namespace strata::test
