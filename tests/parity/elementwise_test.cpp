#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/parity/op_run.h"
#include "tests/reference/norm.h"

namespace strata::test {
namespace {

constexpr double kEps = std::numeric_limits<float>::epsilon();
constexpr double kLargest = std::numeric_limits<float>::max();

// exp is within two units in the last place; a sum, a quotient and a product follow. Where exp
// overflows the result is zero instead of gate / exp(-gate), which is less than |gate| / kLargest.
double swiglu_tolerance(double slack, double gate, double up, double want) {
  return slack * 5 * kEps * std::fabs(want) + std::fabs(gate * up) / kLargest + 1e-44;
}

void check_swiglu(const Device& device, const HostTensor& gate, const HostTensor& up,
                  const HostTensor& out) {
  const double slack = function_slack(device);
  for (std::int64_t r = 0; r < gate.view().rows(); ++r) {
    for (std::int64_t c = 0; c < gate.view().columns(); ++c) {
      const auto g = static_cast<double>(gate.row(r)[c]);
      const auto u = static_cast<double>(up.row(r)[c]);
      const double want = reference::swiglu(g, u);
      ASSERT_NEAR(static_cast<double>(out.row(r)[c]), want, swiglu_tolerance(slack, g, u, want))
          << "gate " << g << ", row " << r << ", column " << c;
    }
  }
}

TEST(SwiGlu, MatchesReferenceInEveryShape) {
  for_each_device(2, [](Device& device) {
    std::mt19937 random(7);
    for (std::int64_t rows : batches({1, 2, 17, 130})) {
      for (std::int64_t columns : {1, 15, 16, 17, 100, 2048, 2049, 5000}) {
        if (rows * columns > 100000) continue;
        const HostTensor gate = HostTensor::f32(rows, columns, 64);
        const HostTensor up = HostTensor::f32(rows, columns);
        const HostTensor out = HostTensor::f32(rows, columns, 192);
        gate.randomize(random, 12.0F);
        up.randomize(random, 3.0F);
        run_op(device, SwiGlu{}, {gate.view(), up.view()}, {}, {out.view()});
        ASSERT_TRUE(out.guards_intact());
        check_swiglu(device, gate, up, out);
      }
    }
  });
}

TEST(SwiGlu, IsAccurateOverTheWholeRange) {
  constexpr int kSteps = 60001;
  const HostTensor gate = HostTensor::f32(1, kSteps);
  const HostTensor up = HostTensor::f32(1, kSteps);
  const HostTensor out = HostTensor::f32(1, kSteps);
  for (int i = 0; i < kSteps; ++i) {
    gate.row(0)[i] = static_cast<float>(-120.0 + 240.0 / (kSteps - 1) * i);
    up.row(0)[i] = 1.0F;
  }
  for_each_device(2, [&](Device& device) {
    run_op(device, SwiGlu{}, {gate.view(), up.view()}, {}, {out.view()});
    check_swiglu(device, gate, up, out);
  });
}

TEST(SwiGlu, LetsNanThrough) {
  for_each_device(1, [](Device& device) {
    const HostTensor gate = HostTensor::f32(1, 3);
    const HostTensor out = HostTensor::f32(1, 3);
    gate.row(0)[0] = NAN;
    gate.row(0)[1] = 0.0F;
    gate.row(0)[2] = INFINITY;
    run_op(device, SwiGlu{}, {gate.view(), gate.view()}, {}, {out.view()});
    EXPECT_TRUE(std::isnan(out.row(0)[0]));
    EXPECT_EQ(out.row(0)[1], 0.0F);
    EXPECT_EQ(out.row(0)[2], INFINITY);
  });
}

TEST(Add, IsExact) {
  for_each_device(2, [](Device& device) {
    std::mt19937 random(11);
    for (std::int64_t rows : batches({1, 2, 17, 130})) {
      for (std::int64_t columns : {1, 17, 288, 2049}) {
        const HostTensor a = HostTensor::f32(rows, columns, 64);
        const HostTensor b = HostTensor::f32(rows, columns);
        const HostTensor out = HostTensor::f32(rows, columns, 64);
        a.randomize(random);
        b.randomize(random);
        run_op(device, Add{}, {a.view(), b.view()}, {}, {out.view()});
        ASSERT_TRUE(out.guards_intact());
        for (std::int64_t r = 0; r < rows; ++r)
          for (std::int64_t c = 0; c < columns; ++c)
            ASSERT_EQ(out.row(r)[c], a.row(r)[c] + b.row(r)[c]);
      }
    }
  });
}

TEST(GatherRows, CopiesTheWantedRows) {
  for_each_device(2, [](Device& device) {
    std::mt19937 random(13);
    for (std::int64_t wanted : batches({1, 2, 17, 130})) {
      const HostTensor x = HostTensor::f32(130, 300, 64);
      const HostTensor out = HostTensor::f32(wanted, 300);
      x.randomize(random);
      StepBlock step({130, 1, 1, 16});
      for (std::int64_t i = 0; i < wanted; ++i)
        step.want_row(static_cast<std::int32_t>(129 - i * 129 / wanted));
      run_op(device, GatherRows{}, {x.view(), step.view()}, {}, {out.view()});
      EXPECT_TRUE(out.guards_intact());
      for (std::int64_t i = 0; i < wanted; ++i)
        for (int c = 0; c < 300; ++c) ASSERT_EQ(out.row(i)[c], x.row(step.state().rows()[i])[c]);
    }
  });
}

}  // namespace
}  // namespace strata::test
