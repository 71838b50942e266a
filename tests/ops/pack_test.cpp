#include <gtest/gtest.h>

#include <cstring>

#include "tests/ops/cpu_devices.h"
#include "tests/parity/weight_ops.h"
#include "tests/reference/dequantize.h"
#include "tests/reference/panels.h"

namespace strata::test::weights {
namespace {

std::vector<DType> block_dtypes() {
  std::vector<DType> dtypes;
  for (DType dtype : weight_dtypes())
    if (is_quantized(dtype)) dtypes.push_back(dtype);
  return dtypes;
}

// Matrices of odd heights; widths in blocks of the dtype.
std::vector<Shape> shapes_of(DType dtype) {
  const std::int64_t block = dtype_info(dtype).block_elements;
  return {{1, block},       {15, 2 * block},    {16, 3 * block}, {33, 5 * block},
          {100, 2 * block}, {3, 17, 2 * block}, {2, 16, block}};
}

struct Matrices {
  std::int64_t count;
  std::int64_t rows;
};
Matrices matrices_of(const Shape& shape) {
  const std::int64_t count = shape.rank == 3 ? shape[0] : 1;
  return {count, shape.rows() / count};
}

// Every weight has its value in the panels, and padding rows have those of zero bytes.
void expect_values(DType dtype, const Tensor& w, const std::byte* panels) {
  const std::int64_t k = w.view.columns();
  const Matrices matrices = matrices_of(w.view.shape);
  const std::vector<std::byte> zeros(row_bytes(dtype, k));
  for (std::int64_t m = 0; m < matrices.count; ++m) {
    for (std::int64_t r = 0; r < (matrices.rows + 15) / 16 * 16; ++r) {
      const std::byte* panel = panels + r / 16 * 16 * static_cast<std::int64_t>(zeros.size());
      const std::byte* row = r < matrices.rows ? w.view.row(m * matrices.rows + r) : zeros.data();
      for (std::int64_t c = 0; c < k; ++c)
        ASSERT_EQ(reference::panel_value(dtype, panel, static_cast<int>(r % 16), c),
                  reference::element(dtype, row, c).value)
            << dtype_info(dtype).name << " " << to_string(w.view.shape) << " matrix " << m
            << " row " << r << " column " << c;
    }
    panels += (matrices.rows + 15) / 16 * 16 * static_cast<std::int64_t>(zeros.size());
  }
}

TEST(Pack, EveryWeightHasItsPlace) {
  for (DType dtype : block_dtypes()) {
    for (const Shape& shape : shapes_of(dtype)) {
      const auto bytes = random_weights(dtype, shape.rows(), shape.columns(), 41);
      const Tensor w = tensor_of({dtype, Layout::rows, shape}, bytes.data());
      const Tensor want = packed(cpu_device("baseline", 1), w);
      expect_values(dtype, w, want.view.data);
      const Matrices matrices = matrices_of(shape);
      const std::size_t padded_bytes =
          static_cast<std::size_t>(matrices.count * ((matrices.rows + 15) / 16 * 16)) *
          row_bytes(dtype, shape.columns());
      ASSERT_EQ(byte_size({dtype, Layout::panels16, shape}), padded_bytes);
      for (const std::string& isa : runnable_isas())
        for (int threads : {1, 3}) {
          const Tensor out = packed(cpu_device(isa, threads), w);
          EXPECT_EQ(std::memcmp(out.view.data, want.view.data, padded_bytes), 0)
              << isa << " " << dtype_info(dtype).name << " " << to_string(shape);
          EXPECT_EQ(out.view.data[padded_bytes], std::byte{0xa5}) << "wrote beyond the panels";
        }
    }
  }
}

// The file's blocks lie at any address, as a tensor's offset in it says.
TEST(Pack, BlocksNeedNoAlignment) {
  for (DType dtype : block_dtypes()) {
    const std::int64_t k = 2 * dtype_info(dtype).block_elements;
    const auto bytes = random_weights(dtype, 16, k, 43);
    std::vector<std::byte> shifted(bytes.size() + 1);
    std::memcpy(shifted.data() + 1, bytes.data(), bytes.size());
    for (const std::string& isa : runnable_isas()) {
      std::vector<std::byte> want(bytes.size()), got(bytes.size() + 1);
      const cpu::Kernels& kernels = cpu::select_kernels(isa.c_str());
      const auto stride = static_cast<std::int64_t>(row_bytes(dtype, k));
      kernels.pack_panel(dtype, bytes.data(), stride, 16, k, want.data(), bytes.data());
      kernels.pack_panel(dtype, shifted.data() + 1, stride, 16, k, got.data() + 1, shifted.data());
      EXPECT_EQ(std::memcmp(got.data() + 1, want.data(), want.size()), 0)
          << isa << " " << dtype_info(dtype).name;
    }
  }
}

TEST(Pack, RefusesWhatHasNoPanels) {
  cpu::CpuDevice& device = cpu_device("baseline", 1);
  const OpImpl& impl = device.ops()[OpKind::Pack];
  for (DType dtype : weight_dtypes()) {
    const OpDesc desc{
        Pack{}, {{dtype, Layout::rows, {16, 256}}}, {}, {{dtype, Layout::panels16, {16, 256}}}};
    EXPECT_EQ(impl.supports(desc, device.info()), is_quantized(dtype)) << dtype_info(dtype).name;
  }
}

}  // namespace
}  // namespace strata::test::weights
