#include <gtest/gtest.h>

#include <algorithm>

#include "tests/parity/linear_cases.h"

namespace strata::test::weights {
namespace {

constexpr std::int32_t kExperts = 5;
constexpr std::int32_t kUsed = 2;
constexpr std::int64_t kN = 33;

// Routes of `tokens` tokens by expert; expert 3 gets none.
struct Routes {
  std::vector<std::int32_t> expert;  // of a route
  Tensor offsets, order;
};

Routes routes_of(std::int64_t tokens) {
  Routes routes;
  for (std::int64_t t = 0; t < tokens; ++t) {
    routes.expert.push_back(static_cast<std::int32_t>(t * 7 % 3));
    routes.expert.push_back(t % 2 == 0 ? 4 : static_cast<std::int32_t>((t * 7 + 1) % 3));
  }
  std::vector<std::int32_t> offsets{0};
  std::vector<std::int32_t> order;
  for (std::int32_t e = 0; e < kExperts; ++e) {
    for (std::size_t r = 0; r < routes.expert.size(); ++r)
      if (routes.expert[r] == e) order.push_back(static_cast<std::int32_t>(r));
    offsets.push_back(static_cast<std::int32_t>(order.size()));
  }
  routes.offsets = tensor_of({DType::I32, Layout::rows, {1, kExperts + 1}}, offsets.data());
  routes.order = tensor_of({DType::I32, Layout::rows, {static_cast<std::int64_t>(order.size()), 1}},
                           order.data());
  return routes;
}

// One expert's matrix of w (experts, n, k), as a tensor of its own.
Tensor expert_of(const Tensor& w, std::int64_t e) {
  const std::int64_t k = w.view.columns();
  return tensor_of({w.view.dtype, Layout::rows, {kN, k}}, w.view.row(e * kN));
}

std::vector<float> linear_row(Device& device, TensorView x, std::int64_t row, const Tensor& w) {
  x.data = x.row(row);
  x.shape[0] = 1;
  const Tensor out = make_tensor({DType::F32, Layout::rows, {1, kN}});
  run_op(device, Linear{}, {x, w.view, {}}, {out.view});
  return floats_of(out.view);
}

struct Case {
  DType dtype;
  std::int64_t tokens;
  bool shared_input;
  bool int8;
  bool panels;
};

// Every route's row equals what `linear` gives for its token and its expert, bit for bit.
void check(Device& device, const Case& c, const std::string& what) {
  const std::int64_t k = 256;
  const std::int64_t routes_count = c.tokens * kUsed;
  const std::int64_t x_rows = c.shared_input ? c.tokens : routes_count;
  const Tensor floats =
      tensor_of({DType::F32, Layout::rows, {x_rows, k}}, random_floats(x_rows * k, 21).data());
  const Tensor x = c.int8 ? quantized(device, floats)
                          : tensor_of({DType::F32, Layout::rows, {x_rows, k}}, floats.view.data);
  const Tensor w = tensor_of({c.dtype, Layout::rows, {kExperts, kN, k}},
                             random_weights(c.dtype, kExperts * kN, k, 22).data());
  const Tensor stored = c.panels
                            ? packed(device, w)
                            : tensor_of({c.dtype, Layout::rows, {kExperts, kN, k}}, w.view.data);
  const Routes routes = routes_of(c.tokens);
  const Tensor out = make_tensor({DType::F32, Layout::rows, {routes_count, kN}}, std::byte{0xff});
  run_op(device, LinearExperts{kUsed, c.shared_input},
         {x.view, stored.view, routes.offsets.view, routes.order.view}, {out.view});
  std::vector<Tensor> experts;
  for (std::int32_t e = 0; e < kExperts; ++e) experts.push_back(expert_of(w, e));
  const double error = c.int8 ? 0 : product_error(device, c.dtype, c.tokens);
  for (std::int64_t r = 0; r < routes_count; ++r) {
    const auto expert = static_cast<std::size_t>(routes.expert[static_cast<std::size_t>(r)]);
    const auto want = linear_row(device, x.view, c.shared_input ? r / kUsed : r, experts[expert]);
    const auto* row = reinterpret_cast<const float*>(out.view.row(r));
    expect_same(device, {row, row + kN}, want, what + " route " + std::to_string(r), error);
  }
}

TEST(LinearExperts, GivesTheBitsOfLinearForEveryRoute) {
  for (const std::string& isa : device_names()) {
    for (DType dtype : weight_dtypes()) {
      for (std::int64_t tokens : {1, 2, 17}) {
        if (largest_batch() < 100 && tokens == 17) tokens = 9;  // simulated: each launch is slow
        const std::string what =
            isa + " " + std::string(dtype_info(dtype).name) + " tokens " + std::to_string(tokens);
        check(test_device(isa, 2), {dtype, tokens, tokens != 2, false, false}, what);
        if (!has_int8_path(dtype)) continue;
        if (!exact_bits(test_device(isa, 2))) {
          check(test_device(isa, 2), {dtype, tokens, tokens != 2, false, true}, what + " packed");
          if (!takes(test_device(isa, 2), dtype, Layout::quantized, tokens)) continue;
        }
        check(test_device(isa, 3), {dtype, tokens, tokens != 2, true, false}, what + " int8 rows");
        check(test_device(isa, 2), {dtype, tokens, tokens == 2, true, true}, what + " int8 panels");
      }
    }
  }
}

// The part of the routes that belongs to experts [first, end).
Routes some_routes(const Routes& all, std::int32_t first, std::int32_t end) {
  const auto* offsets = all.offsets.view.as<const std::int32_t>();
  std::vector<std::int32_t> begins;
  for (std::int32_t e = 0; e <= kExperts; ++e)
    begins.push_back(offsets[std::clamp(e, first, end)] - offsets[first]);
  // Behind them are routes that this launch has nothing to do with.
  std::vector<std::int32_t> order(static_cast<std::size_t>(all.order.view.rows()), 0);
  std::copy_n(all.order.view.as<const std::int32_t>() + offsets[first], begins.back(),
              order.begin());
  Routes part;
  part.offsets =
      tensor_of({DType::I32, Layout::rows, {1, std::int64_t{kExperts} + 1}}, begins.data());
  part.order = tensor_of({DType::I32, Layout::rows, {all.order.view.rows(), 1}}, order.data());
  return part;
}

// Where not all experts are on the device a step is computed in passes.
TEST(LinearExperts, PassesOverSomeExpertsGiveTheBitsOfOneLaunch) {
  const std::int64_t k = 256;
  for (const std::string& isa : device_names()) {
    Device& device = test_device(isa, 2);
    for (const DType dtype : {DType::F16, DType::BF16, DType::Q8_0, DType::Q4_K}) {
      for (const std::int64_t tokens :
           {std::int64_t{1}, std::min<std::int64_t>(40, largest_batch())}) {
        const Tensor x = float_rows(tokens, k, 31);
        const Tensor w = tensor_of({dtype, Layout::rows, {kExperts, kN, k}},
                                   random_weights(dtype, kExperts * kN, k, 32).data());
        const Routes routes = routes_of(tokens);
        const auto multiply = [&](const Routes& of, const Tensor& out) {
          run_op(device, LinearExperts{kUsed, true},
                 {x.view, w.view, of.offsets.view, of.order.view}, {out.view});
        };
        const TensorDesc desc{DType::F32, Layout::rows, {tokens * kUsed, kN}};
        const Tensor whole = make_tensor(desc);
        multiply(routes, whole);
        const Tensor passes = make_tensor(desc, std::byte{0xff});
        multiply(some_routes(routes, 0, 2), passes);
        for (std::int64_t r = 0; r < tokens * kUsed; ++r) {
          if (routes.expert[static_cast<std::size_t>(r)] < 2) continue;
          ASSERT_EQ(*reinterpret_cast<const std::uint32_t*>(passes.view.row(r)), 0xffffffffU)
              << isa << " route " << r;
        }
        multiply(some_routes(routes, 2, 4), passes);
        multiply(some_routes(routes, 4, kExperts), passes);
        expect_same_bits(floats_of(passes.view), floats_of(whole.view),
                         isa + " " + std::string(dtype_info(dtype).name));
      }
    }
  }
}

// Against the double-precision reference once more, without `linear` in between.
TEST(LinearExperts, FollowsTheReference) {
  const std::int64_t k = 256;
  const std::int64_t tokens = std::min<std::int64_t>(130, largest_batch());
  const Tensor x =
      tensor_of({DType::F32, Layout::rows, {tokens, k}}, random_floats(tokens * k, 21).data());
  const Routes routes = routes_of(tokens);
  for (DType dtype : weight_dtypes()) {
    const Tensor w = tensor_of({dtype, Layout::rows, {kExperts, kN, k}},
                               random_weights(dtype, kExperts * kN, k, 22).data());
    for (const std::string& isa : device_names()) {
      const Tensor out = make_tensor({DType::F32, Layout::rows, {tokens * kUsed, kN}});
      Device& device = test_device(isa, 2);
      run_op(device, LinearExperts{kUsed, true},
             {x.view, w.view, routes.offsets.view, routes.order.view}, {out.view});
      const double roundings =
          f32_roundings(device, k) * 0x1p-24 + product_error(device, dtype, tokens);
      // Every 7th route and 5th column: the sums in double take longer than the op.
      for (std::int64_t r = 0; r < tokens * kUsed; r += 7) {
        const auto values = reinterpret_cast<const float*>(x.view.row(r / kUsed));
        const std::vector<double> row(values, values + k);
        const std::int64_t first = routes.expert[static_cast<std::size_t>(r)] * kN;
        for (std::int64_t n = 0; n < kN; n += 5) {
          const auto want =
              reference::dot(row, reference::row_elements(dtype, w.view.row(first + n), k), 0);
          ASSERT_NEAR(reinterpret_cast<const float*>(out.view.row(r))[n], want.value,
                      roundings * want.magnitude * 1.001)
              << isa << " " << dtype_info(dtype).name << " route " << r << " column " << n;
        }
      }
    }
  }
}

}  // namespace
}  // namespace strata::test::weights
