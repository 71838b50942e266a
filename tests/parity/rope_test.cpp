#include "tests/reference/rope.h"

#include <gtest/gtest.h>

#include <cmath>
#include <iterator>
#include <limits>

#include "tests/parity/op_run.h"

namespace strata::test {
namespace {

constexpr double kEps = std::numeric_limits<float>::epsilon();

struct RopeCase {
  RopeStyle style;
  int heads;
  int head_dim;
  int rot_dim;
  int tokens;
  float magnitude;
};

HostTensor inverse_frequencies(int rot_dim) {
  HostTensor inv_freq({DType::F32, Layout::rows, {rot_dim / 2}});
  for (int i = 0; i < rot_dim / 2; ++i)
    inv_freq.row(0)[i] =
        static_cast<float>(std::pow(10000.0, -2.0 * i / static_cast<double>(rot_dim)));
  return inv_freq;
}

void check_head(const Device& device, const RopeCase& c, const float* x, const float* out,
                const float* inv_freq, int position) {
  std::vector<double> angles;
  for (int i = 0; i < c.rot_dim / 2; ++i)
    angles.push_back(static_cast<double>(static_cast<float>(position) * inv_freq[i]));
  const std::vector<double> head(x, x + c.head_dim);
  const std::vector<double> want = reference::rope_head(
      head, angles, c.style == RopeStyle::interleaved, static_cast<double>(c.magnitude));
  // Each result is two products of an element of the pair with a rounded cosine or sine.
  for (int d = 0; d < c.head_dim; ++d) {
    const double allowed =
        d < c.rot_dim ? function_slack(device) * 6 * kEps * static_cast<double>(c.magnitude) : 0.0;
    ASSERT_NEAR(static_cast<double>(out[d]), want[static_cast<std::size_t>(d)], allowed)
        << "dimension " << d << " at position " << position;
  }
}

void check_rope(Device& device, const RopeCase& c) {
  std::mt19937 random(static_cast<unsigned>(c.head_dim + c.tokens));
  const HostTensor x = HostTensor::f32(c.tokens, c.heads * c.head_dim, 128);
  const HostTensor out = HostTensor::f32(c.tokens, c.heads * c.head_dim);
  const HostTensor inv_freq = inverse_frequencies(c.rot_dim);
  x.randomize(random);
  StepBlock step({c.tokens, 2, 1, 64});
  for (int t = 0; t < c.tokens; ++t) step.add_token(t % 2, t * 37 + (t % 3 == 0 ? 100000 : 0));
  run_op(device, Rope{c.style, c.head_dim, c.rot_dim, c.magnitude},
         {x.view(), inv_freq.view(), step.view()}, {}, {out.view()});
  EXPECT_TRUE(out.guards_intact());
  for (int t = 0; t < c.tokens; ++t)
    for (int h = 0; h < c.heads; ++h)
      check_head(device, c, x.row(t) + h * c.head_dim, out.row(t) + h * c.head_dim, inv_freq.row(0),
                 step.state().positions()[t]);
}

TEST(Rope, MatchesReference) {
  for_each_device(2, [](Device& device) {
    for (RopeStyle style : {RopeStyle::interleaved, RopeStyle::half_split})
      for (std::int64_t tokens : batches({1, 2, 17, 130}))
        for (int head_dim : {8, 16, 32, 80, 128})
          check_rope(device, {style, static_cast<int>(1 + tokens % 4), head_dim, head_dim,
                              static_cast<int>(tokens), 1.0F});
  });
}

TEST(Rope, TurnsOnlyTheFirstDimensions) {
  for_each_device(2, [](Device& device) {
    for (RopeStyle style : {RopeStyle::interleaved, RopeStyle::half_split})
      for (int rot_dim : {2, 20, 64, 78}) check_rope(device, {style, 3, 80, rot_dim, 5, 1.25F});
  });
}

// The pair (1, 0) becomes the cosine and the sine. Rounding to f32 is half a unit; the series and
// the reduction in double add less than 2^-8 of that, also where the result is near zero.
TEST(Rope, CosinesAndSinesAreRoundedOnce) {
  for_each_device(1, [](Device& device) {
    for (RopeStyle style : {RopeStyle::interleaved, RopeStyle::half_split}) {
      constexpr int kPositions[] = {0, 1, 2, 3, 11, 355, 710, 4095, 65537, 1000003, 1 << 30};
      constexpr int kPairs = 37;
      StepBlock step({static_cast<int>(std::size(kPositions)), 1, 1, 64});
      for (const int position : kPositions) step.add_token(0, position);
      const auto tokens = static_cast<std::int64_t>(std::size(kPositions));
      const HostTensor x = HostTensor::f32(tokens, 2 * kPairs);
      const HostTensor out = HostTensor::f32(tokens, 2 * kPairs);
      const HostTensor inv_freq = inverse_frequencies(2 * kPairs);
      const bool neighbours = style == RopeStyle::interleaved;
      for (std::int64_t t = 0; t < tokens; ++t)
        for (int d = 0; d < 2 * kPairs; ++d)
          x.row(t)[d] = neighbours ? (d % 2 == 0 ? 1.0F : 0.0F) : (d < kPairs ? 1.0F : 0.0F);
      run_op(device, Rope{style, 2 * kPairs, 2 * kPairs, 1.0F},
             {x.view(), inv_freq.view(), step.view()}, {}, {out.view()});
      for (std::int64_t t = 0; t < tokens; ++t) {
        for (int i = 0; i < kPairs; ++i) {
          const auto angle =
              static_cast<double>(static_cast<float>(kPositions[t]) * inv_freq.row(0)[i]);
          const float* got = out.row(t);
          const float cosine = neighbours ? got[2 * i] : got[i];
          const float sine = neighbours ? got[2 * i + 1] : got[i + kPairs];
          const double allowed = kEps / 2 * (1 + 1.0 / 256);
          if (!exact_bits(device)) {
            // Without double precision the reduced angle is off by a unit of its own size.
            ASSERT_NEAR(static_cast<double>(cosine), std::cos(angle), 6 * kEps);
            ASSERT_NEAR(static_cast<double>(sine), std::sin(angle), 6 * kEps);
            continue;
          }
          ASSERT_NEAR(static_cast<double>(cosine), std::cos(angle),
                      allowed * std::fabs(std::cos(angle)));
          ASSERT_NEAR(static_cast<double>(sine), std::sin(angle),
                      allowed * std::fabs(std::sin(angle)));
        }
      }
    }
  });
}

TEST(Rope, PositionZeroChangesNothing) {
  for_each_device(1, [](Device& device) {
    std::mt19937 random(5);
    const HostTensor x = HostTensor::f32(1, 64);
    const HostTensor out = HostTensor::f32(1, 64);
    x.randomize(random);
    StepBlock step({1, 1, 1, 16});
    step.add_token(0, 0);
    run_op(device, Rope{RopeStyle::half_split, 32, 32, 1.0F},
           {x.view(), inverse_frequencies(32).view(), step.view()}, {}, {out.view()});
    EXPECT_EQ(x.bytes(), out.bytes());
  });
}

}  // namespace
}  // namespace strata::test
