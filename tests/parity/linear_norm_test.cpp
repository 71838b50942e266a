// A linear with the norm behind it has the bits of both ops, and of `quantize` behind them.
#include <gtest/gtest.h>

#include <cstring>

#include "tests/parity/linear_cases.h"

namespace strata::test::weights {
namespace {

constexpr float kEps = 1e-5F;

struct NormCase {
  std::int64_t rows = 1;
  std::int64_t n = 96;
  std::int64_t k = 256;
  bool bias = true;
  bool residual = true;
};

std::string name_of(const NormCase& c) {
  return "rows " + std::to_string(c.rows) + " n " + std::to_string(c.n) + " k " +
         std::to_string(c.k);
}

void expect_rows(const Tensor& got, const Tensor& want, const std::string& what) {
  EXPECT_EQ(std::memcmp(got.view.data, want.view.data,
                        static_cast<std::size_t>(want.view.rows() * want.view.row_stride)),
            0)
      << what;
}

// What makes `layout` of f32 rows, if anything must.
Tensor in_layout(Device& device, const Tensor& x, Layout layout) {
  Tensor out = make_tensor({activation_dtype(layout), layout, x.view.shape}, std::byte{0xa5});
  if (layout == Layout::rows)
    std::memcpy(out.view.data, x.view.data, byte_size({DType::F32, Layout::rows, x.view.shape}));
  else
    run_op(device, Quantize{}, {x.view}, {out.view});
  return out;
}

// False when the device leaves it to the ops that it stands for.
bool check(Device& device, const TensorView& x, const TensorView& w, const NormCase& c,
           const std::string& what) {
  const TensorDesc desc{DType::F32, Layout::rows, {c.rows, c.n}};
  const Tensor bias = float_rows(1, c.n, 21);
  const Tensor residual = float_rows(c.rows, c.n, 22);
  const Tensor norm = tensor_of({DType::F32, Layout::rows, {c.n}}, random_floats(c.n, 23).data());
  const std::vector<TensorView> in{x, w, c.bias ? bias.view : TensorView{},
                                   c.residual ? residual.view : TensorView{}, norm.view};
  const Tensor sum = make_tensor(desc, std::byte{0xff});
  const Tensor normed = make_tensor(desc, std::byte{0xff});
  if (!op_supports(device, LinearNorm{kEps}, in, {sum.view, normed.view})) return false;
  run_op(device, Linear{}, {in[0], in[1], in[2], in[3]}, {sum.view});
  run_op(device, RmsNorm{kEps}, {sum.view, norm.view}, {normed.view});
  for (const Layout layout : {Layout::rows, Layout::quantized, Layout::rounded}) {
    const TensorDesc out{activation_dtype(layout), layout, desc.shape};
    if (layout == Layout::quantized && c.n % 32 != 0) continue;
    const Tensor got_sum = make_tensor(desc, std::byte{0x5a});
    const Tensor got = make_tensor(out, std::byte{0x5a});
    const std::vector<TensorView> outs{got_sum.view, got.view};
    run_op(device, LinearNorm{kEps}, in, outs);
    const std::string label = what + ", " + name_of(c) + ", " + std::string(layout_name(layout));
    expect_rows(got_sum, sum, label + ", sum");
    expect_rows(got, in_layout(device, normed, layout), label);
  }
  return true;
}

// x and w in every layout that the device multiplies.
bool check_layouts(Device& device, DType dtype, const NormCase& c) {
  const std::string what(dtype_info(dtype).name);
  const Tensor x = float_rows(c.rows, c.k, 3);
  const Tensor w = linear_weights(dtype, c.n, c.k);
  if (!check(device, x.view, w.view, c, what)) return false;
  const bool rounds = takes(device, dtype, Layout::rounded, c.rows);
  bool all = !rounds || check(device, rounded(device, x).view, w.view, c, what + " rounded");
  if (!is_quantized(dtype)) return all;
  const Tensor planes = packed(device, w);
  all &= check(device, x.view, planes.view, c, what + " packed");
  if (rounds)
    all &= check(device, rounded(device, x).view, planes.view, c, what + " rounded packed");
  if (!takes(device, dtype, Layout::quantized, c.rows)) return all;
  all &= check(device, quantized(device, x).view, w.view, c, what + " int8");
  all &= check(device, quantized(device, x).view, planes.view, c, what + " int8 packed");
  return all;
}

bool is_simulated(const Device& device) {
  return device.info().id.backend == BackendKind::simt_host;
}

TEST(LinearNorm, GivesTheBitsOfItsPartsForEveryType) {
  for (const std::string& name : device_names()) {
    Device& device = test_device(name, 2);
    SCOPED_TRACE(name);
    for (const DType dtype : weight_dtypes()) {
      const bool supported = check_layouts(device, dtype, {});
      EXPECT_TRUE(supported || !is_simulated(device));
      if (supported) check_layouts(device, dtype, {17, 41, 256, false, true});
    }
  }
}

// Rows as short as heads, of one pass of the block and of several, and rows of w that are cut into
// slices of columns; few rows of x and many.
TEST(LinearNorm, GivesTheBitsOfItsPartsForEveryShape) {
  for (const std::string& name : device_names()) {
    Device& device = test_device(name, 2);
    SCOPED_TRACE(name);
    for (const std::int64_t rows : {1, 2, 3, 9}) {
      for (const NormCase& c :
           {NormCase{rows, 1, 256}, NormCase{rows, 257, 256}, NormCase{rows, 288, 256, true, false},
            NormCase{rows, 64, 4096}, NormCase{rows, 1312, 256}}) {
        if (rows > 1 && c.n * c.k > 300000) continue;  // the simulated device is slow
        for (const DType dtype : {DType::Q4_0, DType::BF16}) check_layouts(device, dtype, c);
      }
    }
  }
}

// Long rows are summed in one order, whoever norms them. Another one shows in some of these only.
TEST(LinearNorm, LongRowsAreSummedInOneOrder) {
  for (const std::string& name : device_names()) {
    Device& device = test_device(name, 2);
    SCOPED_TRACE(name);
    const Tensor x = float_rows(1, 32, 3);
    for (std::int64_t n = 1100; n < 4200; n += 300)
      check(device, x.view, linear_weights(DType::BF16, n, 32).view, {1, n, 32}, "BF16");
  }
}

TEST(LinearNorm, HoldsInManyOrders) {
  for (const std::string& name : device_names()) {
    Device& device = test_device(name, 2);
    SCOPED_TRACE(name);
    for (const std::int64_t rows : {1, 2}) {
      check_layouts(device, DType::Q4_0, {rows, 96, 64});
      check_layouts(device, DType::BF16, {rows, 301, 72});
      check_layouts(device, DType::BF16, {rows, 35, 41});
    }
  }
}

// As the executor runs it: capacity and live rows, the sum over the residual's place, rows apart.
TEST(LinearNorm, FewerRowsThanPlannedAndResultsInPlace) {
  for (const std::string& name : device_names()) {
    Device& device = test_device(name, 2);
    SCOPED_TRACE(name);
    const Tensor x = quantized(device, float_rows(1, 256, 3));
    const Tensor w = packed(device, linear_weights(DType::Q4_0, 64, 256));
    const Tensor norm = float_rows(1, 64, 23);
    const Tensor residual = float_rows(1, 64, 22);
    const TensorDesc desc{DType::F32, Layout::rows, {1, 64}};
    const Tensor sum = make_tensor(desc);
    const Tensor normed = make_tensor(desc);
    const std::vector<TensorView> in{x.view, w.view, {}, residual.view, norm.view};
    if (!op_supports(device, LinearNorm{kEps}, in, {sum.view, normed.view})) continue;
    run_op(device, Linear{}, {x.view, w.view, {}, residual.view}, {sum.view});
    run_op(device, RmsNorm{kEps}, {sum.view, norm.view}, {normed.view});
    const Tensor wide = make_tensor({DType::F32, Layout::rows, {1, 65}}, std::byte{0x2a});
    TensorView apart = wide.view;
    apart.data += 4;
    apart.shape[1] = 64;
    run_op(device, LinearNorm{kEps}, in, {residual.view, apart});
    expect_rows(residual, sum, "sum in the residual's place");
    EXPECT_EQ(std::memcmp(apart.data, normed.view.data, 256), 0) << "a row that is not aligned";
    for (int i = 0; i < 4; ++i) EXPECT_EQ(wide.view.data[i], std::byte{0x2a});
  }
}

TEST(LinearNorm, RefusesNormsOfOtherLengths) {
  for (const std::string& name : device_names()) {
    Device& device = test_device(name, 2);
    const Tensor x = float_rows(1, 64, 3);
    const Tensor w = linear_weights(DType::F32, 96, 64);
    const Tensor sum = float_rows(1, 96, 4);
    for (const std::int64_t length : {32, 192}) {
      const Tensor norm =
          tensor_of({DType::F32, Layout::rows, {length}}, random_floats(length, 5).data());
      EXPECT_FALSE(op_supports(device, LinearNorm{kEps}, {x.view, w.view, {}, {}, norm.view},
                               {sum.view, sum.view}))
          << name;
    }
  }
}

}  // namespace
}  // namespace strata::test::weights
