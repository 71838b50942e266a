// The op pack of GPUs: Layout::planes16, field by field.
#include "runtime/core/planes.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tests/parity/weight_ops.h"

namespace strata::test::weights {
namespace {

// The planes of matrices in file order, from the description in planes.h; padding rows are zero.
std::vector<std::byte> planes_of(DType dtype, const Tensor& w) {
  const std::int64_t matrices = w.view.shape.rank == 3 ? w.view.shape[0] : 1;
  const std::int64_t rows = w.view.rows() / matrices;
  const auto block = static_cast<std::int64_t>(dtype_info(dtype).block_bytes);
  const std::int64_t blocks = w.view.columns() / dtype_info(dtype).block_elements;
  std::vector<std::byte> all;
  for (std::int64_t m = 0; m < matrices; ++m)
    for (std::int64_t panel = 0; panel < rows; panel += 16)
      for (const PlaneField& field : plane_fields(dtype))
        for (std::int64_t r = panel; r < panel + 16; ++r)
          for (std::int64_t b = 0; b < blocks; ++b)
            for (std::int64_t i = 0; i < field.bytes; ++i)
              all.push_back(r < rows ? w.view.row(m * rows + r)[b * block + field.offset + i]
                                     : std::byte{0});
  return all;
}

TEST(PackPlanes, EveryByteHasItsPlace) {
  for (const std::string& name : device_names()) {
    Device& device = test_device(name, 1);
    if (packed_layout(device) != Layout::planes16) continue;  // tests/ops/pack_test.cpp
    for (DType dtype : weight_dtypes()) {
      if (!is_quantized(dtype)) continue;
      const std::int64_t block = dtype_info(dtype).block_elements;
      for (const Shape& shape : {Shape{1, block}, Shape{15, 2 * block}, Shape{16, 3 * block},
                                 Shape{33, 5 * block}, Shape{3, 17, 2 * block}}) {
        const auto bytes = random_weights(dtype, shape.rows(), shape.columns(), 41);
        const Tensor w = tensor_of({dtype, Layout::rows, shape}, bytes.data());
        const std::vector<std::byte> want = planes_of(dtype, w);
        const Tensor got = packed(device, w);
        ASSERT_EQ(byte_size({dtype, Layout::planes16, shape}), want.size());
        EXPECT_EQ(std::memcmp(got.view.data, want.data(), want.size()), 0)
            << name << " " << dtype_info(dtype).name << " " << to_string(shape);
      }
    }
  }
}

// The file's blocks lie at any even address (MXFP4's at any), as a tensor's offset in it says.
TEST(PackPlanes, BlocksNeedNoAlignment) {
  for (const std::string& name : device_names()) {
    Device& device = test_device(name, 1);
    if (packed_layout(device) != Layout::planes16) continue;
    for (DType dtype : weight_dtypes()) {
      if (!is_quantized(dtype)) continue;
      const std::int64_t k = 2 * dtype_info(dtype).block_elements;
      const auto bytes = random_weights(dtype, 16, k, 43);
      const Tensor w = tensor_of({dtype, Layout::rows, {16, k}}, bytes.data());
      Tensor shifted = make_tensor({dtype, Layout::rows, {17, k}});
      for (const int by : {2, 6}) {
        TensorView moved = w.view;
        moved.data = shifted.view.data + by;
        std::memcpy(moved.data, bytes.data(), bytes.size());
        const Tensor got = make_tensor({dtype, Layout::planes16, {16, k}});
        run_op(device, Pack{}, {moved}, {got.view});
        const auto want = planes_of(dtype, w);
        EXPECT_EQ(std::memcmp(got.view.data, want.data(), want.size()), 0)
            << name << " " << dtype_info(dtype).name << " by " << by;
      }
    }
  }
}

}  // namespace
}  // namespace strata::test::weights
