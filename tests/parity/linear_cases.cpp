#include "tests/parity/linear_cases.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "runtime/core/half.h"

namespace strata::test::weights {
namespace {

constexpr double kUnit = 0x1p-24;  // half an ulp of f32, relative

// Long rows at last: GPUs divide their columns between warps.
std::vector<Shape3> shapes_of_blocks(std::int64_t block) {
  switch (block) {
    case 1:
      return {{1, 1, 1},      {2, 15, 32},   {17, 16, 172}, {33, 9, 160},
              {130, 33, 544}, {1, 100, 256}, {1, 5, 8192},  {3, 2, 8192}};
    case 32:
      return {{1, 1, 32},    {2, 15, 32},   {3, 31, 64},  {8, 18, 96},
              {17, 16, 256}, {23, 17, 32},  {33, 40, 96}, {130, 33, 544},
              {512, 7, 64},  {1, 100, 256}, {1, 5, 8192}, {3, 2, 8192}};
    default:
      return {{1, 1, 256},   {2, 15, 256},  {3, 31, 256},  {8, 18, 512},
              {17, 16, 768}, {23, 17, 256}, {33, 40, 256}, {130, 33, 768},
              {512, 7, 256}, {1, 100, 256}, {1, 5, 8192},  {3, 2, 8192}};
  }
}

}  // namespace

std::vector<Shape3> linear_shapes(DType dtype) {
  std::vector<Shape3> shapes = shapes_of_blocks(dtype_info(dtype).block_elements);
  std::erase_if(shapes, [](const Shape3& s) { return s.rows > largest_batch(); });
  return shapes;
}

Tensor linear_weights(DType dtype, std::int64_t n, std::int64_t k) {
  return tensor_of({dtype, Layout::rows, {n, k}}, random_weights(dtype, n, k, 11).data());
}

Tensor float_rows(std::int64_t rows, std::int64_t columns, std::uint64_t seed) {
  return tensor_of({DType::F32, Layout::rows, {rows, columns}},
                   random_floats(rows * columns, seed).data());
}

std::vector<float> linear(Device& device, const TensorView& x, const TensorView& w,
                          const TensorView& bias) {
  const Tensor out = make_tensor({DType::F32, Layout::rows, {x.rows(), w.rows()}}, std::byte{0xff});
  run_op(device, Linear{}, {x, w, bias}, {out.view});
  return floats_of(out.view);
}

std::vector<reference::Sum> reference_linear(const std::vector<std::vector<double>>& x,
                                             const Tensor& w, const TensorView& bias) {
  std::vector<std::vector<reference::Element>> rows;
  for (std::int64_t n = 0; n < w.view.rows(); ++n)
    rows.push_back(reference::row_elements(w.view.dtype, w.view.row(n), w.view.columns()));
  std::vector<reference::Sum> sums;
  for (const auto& row : x)
    for (std::size_t n = 0; n < rows.size(); ++n)
      sums.push_back(reference::dot(
          row, rows[n], bias.data == nullptr ? 0.0 : static_cast<double>(bias.as<float>()[n])));
  return sums;
}

std::vector<std::vector<double>> doubles(const Tensor& x) {
  std::vector<std::vector<double>> rows;
  const auto columns = static_cast<std::size_t>(x.view.columns());
  const auto values = floats_of(x.view);
  for (auto at = values.begin(); at != values.end(); at += static_cast<std::ptrdiff_t>(columns))
    rows.emplace_back(at, at + static_cast<std::ptrdiff_t>(columns));
  return rows;
}

std::vector<std::vector<double>> quantized_doubles(const Tensor& x) {
  std::vector<std::vector<double>> rows;
  for (std::int64_t r = 0; r < x.view.rows(); ++r)
    rows.push_back(reference::quantized_values(x.view.row(r), x.view.columns()));
  return rows;
}

std::vector<std::vector<double>> rounded_doubles(const Tensor& x) {
  std::vector<std::vector<double>> rows;
  for (std::int64_t r = 0; r < x.view.rows(); ++r) {
    const auto* halves = reinterpret_cast<const std::uint16_t*>(x.view.row(r));
    rows.emplace_back();
    for (std::int64_t c = 0; c < x.view.columns(); ++c)
      rows.back().push_back(static_cast<double>(bf16_to_f32(halves[c])));
  }
  return rows;
}

void expect_close(const std::vector<float>& got, const std::vector<reference::Sum>& want,
                  double roundings, const std::string& what, double weight_error) {
  ASSERT_EQ(got.size(), want.size()) << what;
  for (std::size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(static_cast<double>(got[i]), want[i].value,
                (roundings * kUnit + weight_error) * want[i].magnitude * 1.001)
        << what << " output " << i;
}

void expect_same_bits(const std::vector<float>& got, const std::vector<float>& want,
                      const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  EXPECT_EQ(std::memcmp(got.data(), want.data(), want.size() * sizeof(float)), 0) << what;
}

void expect_same(const Device& device, const std::vector<float>& got,
                 const std::vector<float>& want, const std::string& what, double product_error) {
  if (exact_bits(device)) return expect_same_bits(got, want, what);
  ASSERT_EQ(got.size(), want.size()) << what;
  float largest = 0;
  for (const float value : want) largest = std::max(largest, std::abs(value));
  // Random sums of a few hundred terms: their errors are far below those of the largest's terms,
  // whose magnitudes together are less than 8 times the largest.
  const double tolerance = (0x1p-15 + 8 * product_error) * static_cast<double>(largest);
  for (std::size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(got[i], want[i], tolerance) << what << " output " << i;
}

double product_error(Device& device, DType dtype, std::int64_t rows) {
  const OpDesc desc{
      Linear{},
      {{DType::F32, Layout::rows, {rows, 256}}, {dtype, Layout::rows, {32, 256}}, {}, {}},
      {},
      {{DType::F32, Layout::rows, {rows, 32}}}};
  const PreparedOp op = device.ops()[OpKind::Linear].prepare(device, desc);
  // Two roundings to 11 bits, and what is lost of numbers far below the largest.
  return op.kernel.starts_with("gemm f16") ? 2 * 0x1p-11 * (1 + 0x1p-8) : 0;
}

double f32_roundings(const Device& device, std::int64_t k) {
  return 3 + 2 * sum_roundings(device, static_cast<double>(k + 15)) + 1;
}
double int8_roundings(const Device& device, std::int64_t k) {
  return (exact_bits(device) ? 7 : 16) + static_cast<double>(k) / 32;
}

std::vector<DType> int8_dtypes() {
  std::vector<DType> dtypes;
  for (DType dtype : weight_dtypes())
    if (has_int8_path(dtype)) dtypes.push_back(dtype);
  return dtypes;
}

TensorView rows_of(TensorView view, std::int64_t first, std::int64_t count) {
  view.data = view.row(first);
  view.shape[0] = count;
  return view;
}

std::vector<Sample> linear_samples(Device& device, DType dtype, std::int64_t rows) {
  const std::int64_t k = dtype_info(dtype).block_elements == 256 ? 768 : 544;
  const std::string name(dtype_info(dtype).name);
  const Tensor x = float_rows(rows, k, 3);
  const Tensor w = linear_weights(dtype, 33, k);
  auto copy = [](const Tensor& t) {
    return tensor_of({t.view.dtype, t.view.layout, t.view.shape}, t.view.data);
  };
  std::vector<Sample> all;
  all.push_back({copy(x), copy(w), name + " f32"});
  if (!has_int8_path(dtype)) return all;
  if (!exact_bits(device)) all.push_back({copy(x), packed(device, w), name + " f32 packed"});
  if (!takes(device, dtype, Layout::quantized, rows)) return all;
  all.push_back({quantized(device, x), copy(w), name + " int8 rows"});
  all.push_back({quantized(device, x), packed(device, w), name + " int8 packed"});
  return all;
}

}  // namespace strata::test::weights
