#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/parity/op_run.h"
#include "tests/reference/norm.h"

namespace strata::test {
namespace {

constexpr double kEps = std::numeric_limits<float>::epsilon();

std::vector<double> doubles(const float* from, std::int64_t count) { return {from, from + count}; }

// The sum of squares runs over n / 64 terms per lane; its error is halved by the root. Then come
// the lanes' tree, the root, the division and two products.
double tolerance(const Device& device, std::int64_t n) {
  return kEps * (static_cast<double>(n) / 64 / 2 + function_slack(device) * 10);
}

void check_rms_norm(Device& device, std::int64_t rows, std::int64_t groups, std::int64_t n,
                    float largest, float eps) {
  std::mt19937 random(static_cast<unsigned>(rows * 131 + n));
  const HostTensor x = HostTensor::f32(rows, groups * n, 64);
  const HostTensor w({DType::F32, Layout::rows, {n}});
  const HostTensor out = HostTensor::f32(rows, groups * n, 64);
  x.randomize(random, largest);
  w.randomize(random);
  run_op(device, RmsNorm{eps}, {x.view(), w.view()}, {}, {out.view()});
  EXPECT_TRUE(out.guards_intact());
  const std::vector<double> weight = doubles(w.row(0), n);
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::vector<double> want =
        reference::rms_norm(doubles(x.row(r), groups * n), weight, static_cast<double>(eps));
    for (std::size_t c = 0; c < want.size(); ++c)
      ASSERT_NEAR(static_cast<double>(out.row(r)[c]), want[c],
                  tolerance(device, n) * std::fabs(want[c]) + 1e-37)
          << "row " << r << ", column " << c << ", n " << n;
  }
}

TEST(RmsNorm, MatchesReferenceForLayerNorms) {
  for_each_device(2, [](Device& device) {
    for (std::int64_t rows : batches({1, 2, 17, 130}))
      for (std::int64_t n : {1, 7, 16, 63, 64, 65, 100, 288, 1000, 4096})
        if (rows * n < 200000) check_rms_norm(device, rows, 1, n, 3.0F, 1e-5F);
  });
}

TEST(RmsNorm, MatchesReferencePerHead) {
  for_each_device(2, [](Device& device) {
    for (std::int64_t rows : {1, 17})
      for (std::int64_t head_dim : {8, 16, 80, 128})
        for (std::int64_t heads : {1, 2, 7})
          check_rms_norm(device, rows, heads, head_dim, 1, 1e-6F);
  });
}

TEST(RmsNorm, HoldsForLargeAndTinyRows) {
  for_each_device(1, [](Device& device) {
    check_rms_norm(device, 3, 1, 320, 1e15F, 1e-5F);
    check_rms_norm(device, 3, 1, 320, 1e-12F, 1e-5F);
  });
}

TEST(RmsNorm, ZeroRowStaysZero) {
  for_each_device(1, [](Device& device) {
    const HostTensor x = HostTensor::f32(1, 33);
    const HostTensor out = HostTensor::f32(1, 33);
    std::mt19937 random(1);
    x.randomize(random, 0.0F);
    run_op(device, RmsNorm{1e-6F}, {x.view(), x.view()}, {}, {out.view()});
    for (int i = 0; i < 33; ++i) EXPECT_EQ(out.row(0)[i], 0.0F);
  });
}

TEST(RmsNorm, RefusesWhatItCannotCompute) {
  for_each_device(1, [](Device& device) {
    const HostTensor x = HostTensor::f32(2, 32);
    const HostTensor w({DType::F32, Layout::rows, {24}});
    const HostTensor half({DType::F16, Layout::rows, {32}});
    EXPECT_FALSE(op_supports(device, RmsNorm{1e-5F}, {x.view(), w.view()}, {}, {x.view()}));
    EXPECT_FALSE(op_supports(device, RmsNorm{1e-5F}, {x.view(), half.view()}, {}, {x.view()}));
  });
}

}  // namespace
}  // namespace strata::test
