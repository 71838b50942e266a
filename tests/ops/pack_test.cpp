#include <gtest/gtest.h>

#include <cstring>

#include "tests/ops/weight_ops.h"

namespace strata::test::weights {
namespace {

// Where byte `i` of block `block` of matrix row `row` lies within its matrix's panels: 16 rows'
// scales, then groups of four bytes of every row (kernels/panels.h).
std::int64_t place_of(DType dtype, std::int64_t k, std::int64_t row, std::int64_t block,
                      std::int64_t i) {
  const auto block_bytes = static_cast<std::int64_t>(dtype_info(dtype).block_bytes);
  const std::int64_t start = (row / 16 * (k / 32) + block) * 16 * block_bytes;
  if (i < 2) return start + row % 16 * 2 + i;
  const std::int64_t quant = i - 2;
  return start + 32 + quant / 4 * 64 + row % 16 * 4 + quant % 4;
}

// Every byte of the file stands at its place, and padding rows are zeros.
void check(Device& device, DType dtype, const Shape& shape) {
  const std::int64_t k = shape.columns();
  const std::int64_t matrices = shape.rank == 3 ? shape[0] : 1;
  const std::int64_t n = shape.rows() / matrices;
  const Tensor w =
      tensor_of({dtype, Layout::rows, shape}, random_weights(dtype, shape.rows(), k, 41).data());
  const Tensor out = packed(device, w);
  const auto padded = (n + 15) / 16 * 16;
  const auto block_bytes = static_cast<std::int64_t>(dtype_info(dtype).block_bytes);
  const std::int64_t matrix_bytes = padded * (k / 32) * block_bytes;
  ASSERT_EQ(byte_size({dtype, Layout::panels16, shape}),
            static_cast<std::size_t>(matrices * matrix_bytes));
  const std::byte flip = dtype == DType::Q8_0 ? std::byte{0x80} : std::byte{0};
  std::vector<std::byte> want(static_cast<std::size_t>(matrices * matrix_bytes));
  for (std::int64_t m = 0; m < matrices; ++m)
    for (std::int64_t r = 0; r < n; ++r)
      for (std::int64_t b = 0; b < k / 32; ++b)
        for (std::int64_t i = 0; i < block_bytes; ++i) {
          const std::byte byte = w.view.row(m * n + r)[b * block_bytes + i];
          want[static_cast<std::size_t>(m * matrix_bytes + place_of(dtype, k, r, b, i))] =
              i < 2 ? byte : byte ^ flip;
        }
  EXPECT_EQ(std::memcmp(out.view.data, want.data(), want.size()), 0)
      << device.info().arch << " " << dtype_info(dtype).name << " " << to_string(shape);
  EXPECT_EQ(out.view.data[want.size()], std::byte{0xa5}) << "wrote beyond the panels";
}

TEST(Pack, EveryByteHasItsPlace) {
  for (const std::string& isa : runnable_isas())
    for (DType dtype : {DType::Q8_0, DType::Q4_0})
      for (int threads : {1, 3})
        for (const Shape& shape : {Shape{1, 32}, Shape{15, 64}, Shape{16, 96}, Shape{33, 544},
                                   Shape{100, 256}, Shape{3, 17, 64}, Shape{2, 16, 32}})
          check(cpu_device(isa, threads), dtype, shape);
}

TEST(Pack, RefusesWhatHasNoPanels) {
  cpu::CpuDevice& device = cpu_device("baseline", 1);
  const OpImpl& impl = device.ops()[OpKind::Pack];
  for (DType dtype : weight_dtypes()) {
    const OpDesc desc{
        Pack{}, {{dtype, Layout::rows, {16, 256}}}, {}, {{dtype, Layout::panels16, {16, 256}}}};
    EXPECT_EQ(impl.supports(desc, device.info()), has_int8_path(dtype)) << dtype_info(dtype).name;
  }
}

}  // namespace
}  // namespace strata::test::weights
