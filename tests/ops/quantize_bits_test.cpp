#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "tests/ops/cpu_devices.h"

namespace strata::test::weights {
namespace {

// Rows from 2^-20 to 2^20 in size.
Tensor sample(std::int64_t rows, std::int64_t k) {
  auto values = random_floats(rows * k, 31);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = std::ldexp(values[i], static_cast<int>(i / 32 % 41) - 20);
  return tensor_of({DType::F32, Layout::rows, {rows, k}}, values.data());
}

TEST(Quantize, EveryVariantThreadAndBatchGivesTheSameBits) {
  const Tensor x = sample(17, 96);
  const Tensor want = quantized(cpu_device("baseline", 1), x);
  const auto row_size = static_cast<std::size_t>(want.view.row_stride);
  for (const std::string& isa : runnable_isas()) {
    for (int threads : {1, 2, 3}) {
      const Tensor got = quantized(cpu_device(isa, threads), x);
      EXPECT_EQ(std::memcmp(got.view.data, want.view.data, 17 * row_size), 0) << isa;
    }
    for (std::int64_t r = 0; r < 17; ++r) {
      const Tensor one = tensor_of({DType::F32, Layout::rows, {1, 96}}, x.view.row(r));
      EXPECT_EQ(
          std::memcmp(quantized(cpu_device(isa, 1), one).view.data, want.view.row(r), row_size), 0)
          << isa << " row " << r;
    }
  }
}

}  // namespace
}  // namespace strata::test::weights
