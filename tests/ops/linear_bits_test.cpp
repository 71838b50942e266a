// What only the CPU promises of its matmuls: bits that depend on nothing but the row, and its
// layouts.
#include <gtest/gtest.h>

#include "tests/ops/cpu_devices.h"
#include "tests/parity/linear_cases.h"

namespace strata::test::weights {
namespace {

TEST(Linear, SameBitsWhateverTheBatchAndTheThreads) {
  for (const std::string& isa : runnable_isas()) {
    for (DType dtype : weight_dtypes()) {
      for (const Sample& sample : linear_samples(cpu_device(isa, 1), dtype, 130)) {
        const std::string what = isa + " " + sample.name;
        const auto all = linear(cpu_device(isa, 1), sample.x.view, sample.w.view, {});
        for (int threads : {2, 3})
          expect_same_bits(linear(cpu_device(isa, threads), sample.x.view, sample.w.view, {}), all,
                           what + " threads");
        for (std::int64_t count : {1, 2, 3, 11, 12, 17}) {
          for (std::int64_t first : {std::int64_t{0}, 130 - count}) {
            const auto part =
                linear(cpu_device(isa, 2), rows_of(sample.x.view, first, count), sample.w.view, {});
            const auto at = all.begin() + first * 33;
            expect_same_bits(
                part, {at, at + count * 33},
                what + " rows " + std::to_string(first) + " + " + std::to_string(count));
          }
        }
      }
    }
  }
}

TEST(Linear, AsksForPanelsAndQuantizedActivations) {
  Device& device = cpu_device("baseline", 1);
  const Tensor x = float_rows(1, 64, 3);
  for (DType dtype : {DType::F32, DType::F16, DType::BF16, DType::Q8_0, DType::Q4_0, DType::Q4_1}) {
    OpDesc desc{Linear{},
                {{DType::F32, Layout::rows, {1, 64}}, {dtype, Layout::rows, {8, 64}}, {}, {}},
                {},
                {{DType::F32, Layout::rows, {1, 8}}}};
    const OpImpl& impl = device.ops()[OpKind::Linear];
    const PreparedOp wish = impl.prepare(device, desc);
    EXPECT_EQ(wish.wanted[0], dtype == DType::BF16   ? Layout::rounded
                              : has_int8_path(dtype) ? Layout::quantized
                                                     : Layout::rows);
    EXPECT_EQ(wish.wanted[1], has_int8_path(dtype) ? Layout::panels16 : Layout::rows);
    desc.in[0] = {DType::I8, Layout::quantized, {1, 64}};
    EXPECT_EQ(impl.supports(desc, device.info()), has_int8_path(dtype)) << "unpacked weights";
    desc.in[1].layout = Layout::panels16;
    EXPECT_EQ(impl.supports(desc, device.info()), has_int8_path(dtype)) << "panels";
  }
}

}  // namespace
}  // namespace strata::test::weights
