// What makes an activation writes it quantized or rounded with the bits of the op `quantize`; a
// linear adds its residual with the bits of the op `add`.
#include <gtest/gtest.h>

#include <cstring>

#include "tests/parity/weight_ops.h"

namespace strata::test::weights {
namespace {

Tensor floats(std::int64_t rows, std::int64_t columns, std::uint64_t seed) {
  return tensor_of({DType::F32, Layout::rows, {rows, columns}},
                   random_floats(rows * columns, seed).data());
}

void expect_same_bytes(const Tensor& got, const Tensor& want, const std::string& what) {
  EXPECT_EQ(std::memcmp(got.view.data, want.view.data,
                        static_cast<std::size_t>(want.view.rows() * want.view.row_stride)),
            0)
      << what;
}

// `op` on `in`, written as f32 (`shape`) and then converted, and written converted at once.
void check(Device& device, const OpAttributes& op, const std::vector<TensorView>& in,
           const Shape& shape, const std::string& what) {
  const Tensor plain = make_tensor({DType::F32, Layout::rows, shape});
  run_op(device, op, in, {plain.view});
  for (const Layout layout : {Layout::quantized, Layout::rounded}) {
    const TensorDesc desc{activation_dtype(layout), layout, shape};
    if (!exact_bits(device) && !op_supports(device, op, in, {dense_view(plain.view.data, desc)}))
      continue;  // a GPU may leave it to the op quantize
    const Tensor want = make_tensor(desc, std::byte{0xa5});
    const Tensor got = make_tensor(desc, std::byte{0x5a});
    run_op(device, Quantize{}, {plain.view}, {want.view});
    run_op(device, op, in, {got.view});
    expect_same_bytes(got, want, what + ", " + std::string(layout_name(layout)));
  }
}

TEST(FusedActivation, NormsAndGatesGiveTheBitsOfQuantize) {
  for (const std::string& isa : device_names()) {
    for (const int threads : {1, 3}) {
      for (const std::int64_t rows : batches({1, 2, 17, 130})) {
        const std::string what = isa + ", rows " + std::to_string(rows);
        Device& device = test_device(isa, threads);
        const Tensor x = floats(rows, 288, 5);
        const Tensor up = floats(rows, 288, 6);
        const Tensor w = tensor_of({DType::F32, Layout::rows, {288}}, random_floats(288, 7).data());
        check(device, RmsNorm{1e-6F}, {x.view, w.view}, x.view.shape, what + " rms_norm");
        check(device, SwiGlu{}, {x.view, up.view}, x.view.shape, what + " swiglu");
      }
    }
  }
}

TEST(FusedActivation, ALinearAddsItsResidualLast) {
  for (const std::string& isa : device_names()) {
    Device& device = test_device(isa, 2);
    for (const DType dtype : weight_dtypes()) {
      for (const std::int64_t rows : {1, 2, 17}) {
        Tensor x = floats(rows, 256, 8);
        if (has_int8_path(dtype) && takes(device, dtype, Layout::quantized, rows))
          x = quantized(device, x);
        const Tensor w =
            tensor_of({dtype, Layout::rows, {100, 256}}, random_weights(dtype, 100, 256, 9).data());
        const Tensor bias =
            tensor_of({DType::F32, Layout::rows, {100}}, random_floats(100, 10).data());
        const Tensor residual = floats(rows, 100, 11);
        const TensorDesc desc{DType::F32, Layout::rows, {rows, 100}};
        const Tensor product = make_tensor(desc);
        const Tensor want = make_tensor(desc);
        run_op(device, Linear{}, {x.view, w.view, bias.view, {}}, {product.view});
        run_op(device, Add{}, {residual.view, product.view}, {want.view});
        const Tensor got = make_tensor(desc, std::byte{0xff});
        const std::string what = isa + " " + std::string(dtype_info(dtype).name);
        run_op(device, Linear{}, {x.view, w.view, bias.view, residual.view}, {got.view});
        expect_same_bytes(got, want, what);
        // In place: the residual's rows become the result.
        run_op(device, Linear{}, {x.view, w.view, bias.view, residual.view}, {residual.view});
        expect_same_bytes(residual, want, what + ", in place");
      }
    }
  }
}

// A gated pair of n columns, alone and as one of three experts, with x int8 as decoding has it.
void check_gated(Device& device, DType dtype, std::int64_t rows, std::int64_t n, std::int64_t k,
                 bool pack) {
  const std::string what = std::string(dtype_info(dtype).name) + ", rows " + std::to_string(rows) +
                           (pack ? "" : ", file rows");
  const Tensor x = quantized(device, floats(rows, k, 12));
  const auto weight = [&](const Shape& shape, std::uint64_t seed) {
    Tensor w = tensor_of({dtype, Layout::rows, shape},
                         random_weights(dtype, shape.rows(), k, seed).data());
    if (pack) return packed(device, w);
    return w;  // moved: a copy's view would be of the bytes here
  };
  const Tensor gate = weight({n, k}, 13);
  const Tensor up = weight({n, k}, 14);
  const TensorDesc direct{DType::I8, Layout::quantized, {rows, n}};
  const std::vector<TensorView> in{x.view, gate.view, up.view};
  const bool supported = op_supports(device, LinearGated{}, in, {dense_view(x.view.data, direct)});
  const BackendKind backend = device.info().id.backend;
  EXPECT_TRUE(supported || (backend != BackendKind::simt_host && backend != BackendKind::vulkan))
      << what;
  if (!supported) return;
  check(device, LinearGated{}, in, {rows, n}, what);

  // Expert 1 of every token, and 0 of all but the first.
  std::vector<std::int32_t> offsets{0, static_cast<std::int32_t>(rows - 1),
                                    static_cast<std::int32_t>(2 * rows - 1)};
  offsets.push_back(offsets.back());
  std::vector<std::int32_t> order;
  for (std::int32_t t = 1; t < rows; ++t) order.push_back(2 * t);
  for (std::int32_t t = 0; t < rows; ++t) order.push_back(2 * t + 1);
  order.push_back(0);  // the first token's other route comes in another launch
  const Tensor begins = tensor_of({DType::I32, Layout::rows, {1, 4}}, offsets.data());
  const Tensor sorted = tensor_of({DType::I32, Layout::rows, {2 * rows, 1}}, order.data());
  const Tensor gates = weight({3, n, k}, 15);
  const Tensor ups = weight({3, n, k}, 16);
  const TensorDesc wide{DType::F32, Layout::rows, {2 * rows, n}};
  const Tensor plain = make_tensor(wide);
  const Tensor want = make_tensor({DType::I8, Layout::quantized, wide.shape});
  const Tensor got = make_tensor({DType::I8, Layout::quantized, wide.shape}, std::byte{0x5a});
  const OpAttributes op = LinearExpertsGated{2, true};
  const std::vector<TensorView> routed{x.view, gates.view, ups.view, begins.view, sorted.view};
  const bool routes_too = op_supports(device, op, routed, {got.view});
  EXPECT_TRUE(routes_too || backend != BackendKind::simt_host) << what;
  if (!routes_too) return;
  run_op(device, op, routed, {plain.view});
  run_op(device, Quantize{}, {plain.view}, {want.view});
  run_op(device, op, routed, {got.view});
  const auto row = static_cast<std::size_t>(want.view.row_stride);
  for (std::int64_t r = 1; r < 2 * rows; ++r)
    EXPECT_EQ(std::memcmp(got.view.row(r), want.view.row(r), row), 0) << what << ", route " << r;
  for (std::size_t i = 0; i < row; ++i)  // what no expert has stays as it is
    ASSERT_EQ(got.view.data[i], std::byte{0x5a}) << what << ", byte " << i;
}

TEST(FusedActivation, GatedPairsGiveTheBitsOfQuantize) {
  for (const std::string& isa : device_names()) {
    Device& device = test_device(isa, 2);
    SCOPED_TRACE(isa);
    if (!takes(device, DType::Q4_0, Layout::quantized, 1)) continue;
    for (const DType dtype : {DType::Q4_0, DType::Q8_0, DType::Q5_K, DType::Q6_K, DType::IQ4_XS})
      for (const std::int64_t rows : {1, 5})
        if (dtype == DType::Q4_0 || largest_batch() >= 33)  // in many orders one type will do
          check_gated(device, dtype, rows, 96, 256, true);
    check_gated(device, DType::Q4_0, 5, 64, 256, false);
    if (largest_batch() < 33) continue;
    check_gated(device, DType::Q4_0, 1, 64, 4096, true);  // columns in slices
    check_gated(device, DType::Q4_0, 5, 32, 8192, true);
  }
}

}  // namespace
}  // namespace strata::test::weights
