#include "tests/reference/moe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "tests/parity/op_run.h"

namespace strata::test {
namespace {

constexpr double kEps = std::numeric_limits<float>::epsilon();

void check_route(Device& device, const HostTensor& logits, const MoeRoute& route) {
  const std::int64_t tokens = logits.view().rows();
  const HostTensor ids = HostTensor::i32(tokens, route.used);
  const HostTensor weights = HostTensor::f32(tokens, route.used);
  run_op(device, route, {logits.view()}, {}, {ids.view(), weights.view()});
  ASSERT_TRUE(ids.guards_intact() && weights.guards_intact());
  for (std::int64_t t = 0; t < tokens; ++t) {
    const std::vector<double> row(logits.row(t), logits.row(t) + route.experts);
    const reference::Routing want = reference::route(row, route.used, route.renormalise);
    for (int c = 0; c < route.used; ++c) {
      const auto i = static_cast<std::size_t>(c);
      ASSERT_EQ(ids.ints(t)[c], want.ids[i]) << "token " << t << ", choice " << c;
      ASSERT_NEAR(static_cast<double>(weights.row(t)[c]), want.weights[i],
                  function_slack(device) * 2 * kEps * want.weights[i] + 1e-44);
    }
  }
}

TEST(MoeRoute, MatchesReference) {
  for_each_device(2, [](Device& device) {
    std::mt19937 random(3);
    for (std::int64_t tokens : batches({1, 2, 17, 130})) {
      for (const auto& [experts, used] :
           {std::pair(1, 1), {2, 1}, {8, 2}, {8, 8}, {60, 4}, {128, 8}}) {
        const HostTensor logits = HostTensor::f32(tokens, experts, 64);
        logits.randomize(random, 6.0F);
        check_route(device, logits, MoeRoute{experts, used, true});
        check_route(device, logits, {experts, used, false});
      }
    }
  });
}

TEST(MoeRoute, BreaksTiesByLowerId) {
  for_each_device(1, [](Device& device) {
    const HostTensor logits = HostTensor::f32(std::min<std::int64_t>(130, largest_batch()), 16);
    std::mt19937 random(4);
    for (std::int64_t t = 0; t < logits.view().rows(); ++t)
      for (int e = 0; e < 16; ++e) logits.row(t)[e] = static_cast<float>(random() % 3);
    check_route(device, logits, {16, 6, true});
  });
}

TEST(MoeRoute, NeverChoosesAnExpertTwice) {
  for_each_device(1, [](Device& device) {
    const float odd[] = {NAN, -INFINITY, INFINITY, 1.0F, -1.0F};
    std::mt19937 random(9);
    const HostTensor logits = HostTensor::f32(std::min<std::int64_t>(200, largest_batch()), 8);
    for (std::int64_t t = 0; t < logits.view().rows(); ++t)
      for (int e = 0; e < 8; ++e) logits.row(t)[e] = t == 0 ? NAN : odd[random() % 5];
    check_route(device, logits, {8, 8, true});
    check_route(device, logits, {8, 5, false});
  });
}

TEST(MoeSort, GroupsRoutesByExpertInOrder) {
  for_each_device(1, [](Device& device) {
    std::mt19937 random(21);
    for (std::int64_t tokens : batches({1, 2, 17, 130})) {
      for (std::int32_t experts : {1, 5, 128}) {
        const std::int64_t used = std::min(4, experts);
        const HostTensor ids = HostTensor::i32(tokens, used);
        std::vector<std::int32_t> flat;
        for (std::int64_t r = 0; r < tokens * used; ++r) {
          flat.push_back(static_cast<std::int32_t>(random() % static_cast<unsigned>(experts)));
          ids.ints(r / used)[r % used] = flat.back();
        }
        const HostTensor offsets = HostTensor::i32(1, experts + 1);
        const HostTensor order = HostTensor::i32(tokens * used, 1);
        run_op(device, MoeSort{experts}, {ids.view()}, {}, {offsets.view(), order.view()});
        ASSERT_TRUE(offsets.guards_intact() && order.guards_intact());
        std::vector<std::int32_t> want(flat.size());
        std::iota(want.begin(), want.end(), 0);
        std::stable_sort(want.begin(), want.end(), [&](std::int32_t a, std::int32_t b) {
          return flat[static_cast<std::size_t>(a)] < flat[static_cast<std::size_t>(b)];
        });
        for (std::size_t r = 0; r < want.size(); ++r)
          ASSERT_EQ(*order.ints(static_cast<std::int64_t>(r)), want[r]);
        for (std::int32_t e = 0; e <= experts; ++e)
          ASSERT_EQ(offsets.ints(0)[e],
                    std::count_if(flat.begin(), flat.end(), [&](std::int32_t x) { return x < e; }));
      }
    }
  });
}

TEST(MoeCombine, AddsTheWeightedRows) {
  for_each_device(2, [](Device& device) {
    std::mt19937 random(31);
    for (std::int64_t tokens : batches({1, 2, 17, 130})) {
      for (std::int32_t used : {1, 2, 8}) {
        for (std::int64_t dim : {1, 17, 64, 300}) {
          const HostTensor y = HostTensor::f32(tokens * used, dim, 64);
          const HostTensor weights = HostTensor::f32(tokens, used);
          const HostTensor out = HostTensor::f32(tokens, dim, 64);
          y.randomize(random);
          weights.randomize(random);
          run_op(device, MoeCombine{used}, {y.view(), weights.view()}, {}, {out.view()});
          ASSERT_TRUE(out.guards_intact());
          for (std::int64_t t = 0; t < tokens; ++t) {
            for (std::int64_t c = 0; c < dim; ++c) {
              double want = 0;
              double terms = 0;
              for (std::int32_t i = 0; i < used; ++i) {
                const double term = static_cast<double>(weights.row(t)[i]) *
                                    static_cast<double>(y.row(t * used + i)[c]);
                want += term;
                terms += std::fabs(term);
              }
              ASSERT_NEAR(static_cast<double>(out.row(t)[c]), want, (used + 1) * kEps * terms);
            }
          }
        }
      }
    }
  });
}

}  // namespace
}  // namespace strata::test
