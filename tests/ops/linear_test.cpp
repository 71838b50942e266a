#include "tests/reference/linear.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "tests/ops/weight_ops.h"

namespace strata::test::weights {
namespace {

constexpr double kUnit = 0x1p-24;  // half an ulp of f32, relative

struct Shape3 {
  std::int64_t rows, n, k;
};

// Odd sizes around tiles and panels; k whole blocks of the dtype.
std::vector<Shape3> shapes(DType dtype) {
  switch (dtype_info(dtype).block_elements) {
    case 1:
      return {{1, 1, 1}, {2, 15, 32}, {17, 16, 172}, {130, 33, 544}, {1, 100, 256}};
    case 32:
      return {{1, 1, 32},   {2, 15, 32},    {3, 31, 64},  {17, 16, 256},
              {23, 17, 32}, {130, 33, 544}, {512, 7, 64}, {1, 100, 256}};
    default:
      return {{1, 1, 256},   {2, 15, 256},   {3, 31, 256},  {17, 16, 768},
              {23, 17, 256}, {130, 33, 768}, {512, 7, 256}, {1, 100, 256}};
  }
}

Tensor weights(DType dtype, std::int64_t n, std::int64_t k) {
  return tensor_of({dtype, Layout::rows, {n, k}}, random_weights(dtype, n, k, 11).data());
}

Tensor floats(std::int64_t rows, std::int64_t columns, std::uint64_t seed) {
  return tensor_of({DType::F32, Layout::rows, {rows, columns}},
                   random_floats(rows * columns, seed).data());
}

std::vector<float> linear(Device& device, const TensorView& x, const TensorView& w,
                          const TensorView& bias) {
  const Tensor out = make_tensor({DType::F32, Layout::rows, {x.rows(), w.rows()}}, std::byte{0xff});
  run_op(device, Linear{}, {x, w, bias}, {out.view});
  return floats_of(out.view);
}

// Every output of x (rows of doubles) times w.
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

// `roundings`: how many f32 roundings a term of the sum goes through at most.
void expect_close(const std::vector<float>& got, const std::vector<reference::Sum>& want,
                  std::int64_t roundings, const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  for (std::size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(got[i], want[i].value,
                static_cast<double>(roundings) * kUnit * want[i].magnitude * 1.001)
        << what << " output " << i;
}

void expect_same_bits(const std::vector<float>& got, const std::vector<float>& want,
                      const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  EXPECT_EQ(std::memcmp(got.data(), want.data(), want.size() * sizeof(float)), 0) << what;
}

// f32: 3 for the weight, 2 per step of a lane (product and sum), 4 of the tree, 1 for the bias.
std::int64_t f32_roundings(std::int64_t k) { return 3 + 2 * ((k + 15) / 16) + 4 + 1; }
// int8: times at most two scales and a factor, at most two minima added, times the scale of x; one
// addition per block, 1 for the bias.
std::int64_t int8_roundings(std::int64_t k) { return 6 + k / 32 + 1; }

std::vector<DType> int8_dtypes() {
  std::vector<DType> dtypes;
  for (DType dtype : weight_dtypes())
    if (has_int8_path(dtype)) dtypes.push_back(dtype);
  return dtypes;
}

std::string label(const std::string& isa, DType dtype, const Shape3& s) {
  return isa + " " + std::string(dtype_info(dtype).name) + " rows " + std::to_string(s.rows) +
         " n " + std::to_string(s.n) + " k " + std::to_string(s.k);
}

TEST(Linear, F32PathFollowsTheReference) {
  for (DType dtype : weight_dtypes()) {
    for (const Shape3& s : shapes(dtype)) {
      const Tensor x = floats(s.rows, s.k, 3);
      const Tensor w = weights(dtype, s.n, s.k);
      const Tensor bias = floats(1, s.n, 5);
      const TensorView given = s.n % 2 == 1 ? bias.view : TensorView{};
      const auto want = reference_linear(doubles(x), w, given);
      for (const std::string& isa : runnable_isas())
        expect_close(linear(cpu_device(isa, 2), x.view, w.view, given), want, f32_roundings(s.k),
                     label(isa, dtype, s));
    }
  }
}

TEST(Linear, Int8PathFollowsTheReference) {
  for (DType dtype : int8_dtypes()) {
    for (const Shape3& s : shapes(dtype)) {
      const Tensor x = quantized(cpu_device("baseline", 1), floats(s.rows, s.k, 3));
      const Tensor w = weights(dtype, s.n, s.k);
      const Tensor bias = floats(1, s.n, 5);
      const TensorView given = s.n % 2 == 1 ? bias.view : TensorView{};
      const auto want = reference_linear(quantized_doubles(x), w, given);
      for (const std::string& isa : runnable_isas()) {
        cpu::CpuDevice& device = cpu_device(isa, 2);
        const std::string what = label(isa, dtype, s);
        const auto first = linear(device, x.view, w.view, given);
        expect_close(first, want, int8_roundings(s.k), what + " rows");
        expect_same_bits(linear(device, x.view, packed(device, w).view, given), first,
                         what + " panels");
      }
    }
  }
}

// The extremes: all products of one sign and as large as they get, for one token and for many.
TEST(Linear, Int8SumsNeverSaturate) {
  for (DType dtype : int8_dtypes()) {
    const std::int64_t k = 2 * dtype_info(dtype).block_elements;
    for (std::int64_t rows : {1, 2, 12}) {
      auto values = std::vector<float>(static_cast<std::size_t>(rows * k), 1.0F);
      for (std::size_t i = 0; i < values.size() / 2; ++i) values[i] = -1.0F;
      const Tensor x = tensor_of({DType::F32, Layout::rows, {rows, k}}, values.data());
      for (int quant : {0x00, 0x7f, 0x80, 0x81, 0xff, 0xf0, 0x0f}) {
        const auto bytes = uniform_weights(dtype, 16, k, quant);
        const Tensor w = tensor_of({dtype, Layout::rows, {16, k}}, bytes.data());
        for (const std::string& isa : runnable_isas()) {
          cpu::CpuDevice& device = cpu_device(isa, 1);
          const Tensor xq = quantized(device, x);
          expect_close(
              linear(device, xq.view, packed(device, w).view, {}),
              reference_linear(quantized_doubles(xq), w, {}), int8_roundings(k),
              isa + " " + std::string(dtype_info(dtype).name) + " " + std::to_string(quant));
        }
      }
    }
  }
}

TensorView rows_of(TensorView view, std::int64_t first, std::int64_t count) {
  view.data = view.row(first);
  view.shape[0] = count;
  return view;
}

// x f32 or quantized, w rows or panels; `bits` of all 130 rows on one thread.
struct Sample {
  Tensor x, w;
  std::string name;
};

std::vector<Sample> samples(Device& device, DType dtype) {
  const std::int64_t k = dtype_info(dtype).block_elements == 256 ? 768 : 544;
  std::vector<Sample> all;
  const std::string name(dtype_info(dtype).name);
  all.push_back({floats(130, k, 3), weights(dtype, 33, k), name + " f32"});
  if (has_int8_path(dtype)) {
    const Tensor x = quantized(device, all[0].x);
    all.push_back({quantized(device, all[0].x), weights(dtype, 33, k), name + " int8 rows"});
    all.push_back({quantized(device, all[0].x), packed(device, all[0].w), name + " int8 panels"});
  }
  return all;
}

TEST(Linear, SameBitsWhateverTheBatchAndTheThreads) {
  for (const std::string& isa : runnable_isas()) {
    for (DType dtype : weight_dtypes()) {
      for (const Sample& sample : samples(cpu_device(isa, 1), dtype)) {
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

// A row block of w writes its columns of out and no others.
TEST(Linear, RowBlocksGiveTheBitsOfTheWhole) {
  const Tensor bias = floats(1, 33, 5);
  for (const std::string& isa : runnable_isas()) {
    cpu::CpuDevice& device = cpu_device(isa, 2);
    for (DType dtype : {DType::F32, DType::Q8_0, DType::Q4_0, DType::Q6_K, DType::Q2_K}) {
      for (const Sample& sample : samples(device, dtype)) {
        const auto whole = linear(device, sample.x.view, sample.w.view, bias.view);
        const Tensor out = make_tensor({DType::F32, Layout::rows, {130, 33}}, std::byte{0xff});
        for (const auto& [first, count] : {std::pair{32, 1}, {0, 16}, {16, 16}}) {
          TensorView columns = out.view;
          columns.data += first * 4;
          columns.shape[1] = count;
          TensorView block_bias = bias.view;
          block_bias.data += first * 4;
          block_bias.shape[1] = count;
          run_op(device, Linear{},
                 {sample.x.view, rows_of(sample.w.view, first, count), block_bias}, {columns});
        }
        expect_same_bits(floats_of(out.view), whole, isa + " " + sample.name);
      }
    }
  }
}

TEST(Linear, WritesNothingBeyondItsColumns) {
  for (const std::string& isa : runnable_isas()) {
    cpu::CpuDevice& device = cpu_device(isa, 2);
    for (const Sample& sample : samples(device, DType::Q4_0)) {
      const Tensor out = make_tensor({DType::F32, Layout::rows, {130, 40}}, std::byte{0x2a});
      TensorView columns = out.view;
      columns.data += 3 * 4;
      columns.shape[1] = 33;
      run_op(device, Linear{}, {sample.x.view, sample.w.view, {}}, {columns});
      for (std::int64_t r = 0; r < 130; ++r)
        for (std::int64_t b = 0; b < 160; ++b)
          ASSERT_TRUE((b >= 12 && b < 144) || out.view.row(r)[b] == std::byte{0x2a})
              << sample.name << " row " << r << " byte " << b;
    }
  }
}

TEST(Linear, AsksForPanelsAndQuantizedActivations) {
  cpu::CpuDevice& device = cpu_device("baseline", 1);
  const Tensor x = floats(1, 64, 3);
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
