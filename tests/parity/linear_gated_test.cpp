// Gated pairs have the bits of two linears and a swiglu.
#include <gtest/gtest.h>

#include "tests/parity/linear_cases.h"

namespace strata::test::weights {
namespace {

constexpr std::int64_t kK = 256;
constexpr std::int64_t kN = 49;

struct Pair {
  Tensor gate;
  Tensor up;
};

Pair pair_of(Device& device, DType dtype, const Shape& shape, bool pack) {
  const TensorDesc desc{dtype, Layout::rows, shape};
  Pair pair{tensor_of(desc, random_weights(dtype, shape.rows(), kK, 51).data()),
            tensor_of(desc, random_weights(dtype, shape.rows(), kK, 52).data())};
  if (pack) pair = {packed(device, pair.gate), packed(device, pair.up)};
  return pair;
}

Tensor floats(std::int64_t rows) {
  return tensor_of({DType::F32, Layout::rows, {rows, kK}}, random_floats(rows * kK, 53).data());
}

Tensor results(std::int64_t rows) {
  return make_tensor({DType::F32, Layout::rows, {rows, kN}}, std::byte{0xff});
}

void expect_swiglu(Device& device, const Tensor& gate, const Tensor& up, const Tensor& got,
                   const std::string& what) {
  const Tensor want = results(got.view.rows());
  run_op(device, SwiGlu{}, {gate.view, up.view}, {want.view});
  expect_same(device, floats_of(got.view), floats_of(want.view), what);
}

void check_linear(Device& device, const TensorView& x, const Pair& w, const std::string& what) {
  const Tensor gate = results(x.rows());
  const Tensor up = results(x.rows());
  const Tensor got = results(x.rows());
  run_op(device, Linear{}, {x, w.gate.view, {}, {}}, {gate.view});
  run_op(device, Linear{}, {x, w.up.view, {}, {}}, {up.view});
  run_op(device, LinearGated{}, {x, w.gate.view, w.up.view}, {got.view});
  expect_swiglu(device, gate, up, got, what);
}

// Three experts; token t goes to 2 and t % 2.
void check_experts(Device& device, const TensorView& x, const Pair& w, const std::string& what) {
  const auto tokens = static_cast<std::int32_t>(x.rows());
  std::vector<std::int32_t> offsets{0};
  std::vector<std::int32_t> order;
  for (std::int32_t e = 0; e < 3; ++e) {
    for (std::int32_t t = 0; t < tokens; ++t)
      if (e == 2 || e == t % 2) order.push_back(2 * t + (e == 2 ? 0 : 1));
    offsets.push_back(static_cast<std::int32_t>(order.size()));
  }
  const Tensor sorted_offsets = tensor_of({DType::I32, Layout::rows, {1, 4}}, offsets.data());
  const Tensor sorted = tensor_of({DType::I32, Layout::rows, {2 * x.rows(), 1}}, order.data());
  const Tensor gate = results(2 * x.rows());
  const Tensor up = results(2 * x.rows());
  const Tensor got = results(2 * x.rows());
  run_op(device, LinearExperts{2, true}, {x, w.gate.view, sorted_offsets.view, sorted.view},
         {gate.view});
  run_op(device, LinearExperts{2, true}, {x, w.up.view, sorted_offsets.view, sorted.view},
         {up.view});
  run_op(device, LinearExpertsGated{2, true},
         {x, w.gate.view, w.up.view, sorted_offsets.view, sorted.view}, {got.view});
  expect_swiglu(device, gate, up, got, what + ", experts");
}

TEST(LinearGated, GivesTheBitsOfItsParts) {
  for (const std::string& isa : device_names()) {
    for (const DType dtype : weight_dtypes()) {
      for (const std::int64_t rows : {1, 2, 17}) {
        if (rows == 2 && largest_batch() < 100) continue;  // simulated: each launch is slow
        Device& device = test_device(isa, rows == 2 ? 3 : 2);
        const std::string what =
            isa + " " + std::string(dtype_info(dtype).name) + " rows " + std::to_string(rows);
        const Tensor x = floats(rows);
        check_linear(device, x.view, pair_of(device, dtype, {kN, kK}, false), what);
        check_experts(device, x.view, pair_of(device, dtype, {3, kN, kK}, false), what);
        if (takes(device, dtype, Layout::rounded, rows)) {
          const Tensor r = make_tensor({DType::BF16, Layout::rounded, x.view.shape});
          run_op(device, Quantize{}, {x.view}, {r.view});
          check_linear(device, r.view, pair_of(device, dtype, {kN, kK}, is_quantized(dtype)),
                       what + " rounded");
        }
        if (!has_int8_path(dtype)) continue;
        if (!exact_bits(device)) {
          check_linear(device, x.view, pair_of(device, dtype, {kN, kK}, true), what + " packed");
          check_experts(device, x.view, pair_of(device, dtype, {3, kN, kK}, true),
                        what + " packed");
          if (!takes(device, dtype, Layout::quantized, rows)) continue;
        }
        const Tensor q = quantized(device, x);
        for (const bool pack : {true, false}) {
          const std::string path = what + (pack ? " panels" : " int8 rows");
          check_linear(device, q.view, pair_of(device, dtype, {kN, kK}, pack), path);
          check_experts(device, q.view, pair_of(device, dtype, {3, kN, kK}, pack), path);
        }
      }
    }
  }
}

}  // namespace
}  // namespace strata::test::weights
