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

// `op` on `in`, written as f32 and then converted, and written converted at once.
void check(Device& device, const OpAttributes& op, const std::vector<TensorView>& in,
           const std::string& what) {
  const Shape shape = in[0].shape;
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
        check(device, RmsNorm{1e-6F}, {x.view, w.view}, what + " rms_norm");
        check(device, SwiGlu{}, {x.view, up.view}, what + " swiglu");
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

}  // namespace
}  // namespace strata::test::weights
