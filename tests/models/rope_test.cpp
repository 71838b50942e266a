#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "runtime/models/config.h"

namespace strata::test {
namespace {

RopeConfig rope_of(int rot_dim, double base) {
  RopeConfig rope;
  rope.rot_dim = rot_dim;
  rope.base = base;
  return rope;
}

void expect_near(const std::vector<float>& got, const std::vector<double>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < want.size(); ++i)
    EXPECT_NEAR(got[i], want[i], want[i] * std::ldexp(1.0, -23)) << "pair " << i;
}

// base^(-2i / rot_dim): 10000^0, ^-1/4, ^-1/2, ^-3/4.
TEST(Rope, PlainFrequencies) {
  expect_near(inverse_frequencies(rope_of(8, 10000), {}), {1, 0.1, 0.01, 0.001});
}

// PyTorch's 1.0 / 1e5 ** (torch.arange(0, 24, 2).float() / 24), which is what trained models turn
// by; the exact values lie up to five units in the last place away.
TEST(Rope, RoundsWhereTheReferenceRounds) {
  EXPECT_THAT(inverse_frequencies(rope_of(24, 100000), {}),
              testing::ElementsAre(1.0F, 0.383118689F, 0.146779925F, 0.0562341288F, 0.0215443447F,
                                   0.00825404283F, 0.00316227786F, 0.00121152797F, 0.000464158744F,
                                   0.00017782794F, 6.81292222e-05F, 2.61015648e-05F));
}

TEST(Rope, LinearScalingDividesAll) {
  RopeConfig rope = rope_of(8, 10000);
  rope.scaling = RopeScaling::linear;
  rope.factor = 4;
  expect_near(inverse_frequencies(rope, {}), {0.25, 0.025, 0.0025, 0.00025});
  EXPECT_EQ(rope_magnitude(rope), 1.0F);
}

TEST(Rope, FactorsOfLlama3DivideEach) {
  expect_near(inverse_frequencies(rope_of(8, 10000), {1, 2, 5, 8}), {1, 0.05, 0.002, 0.000125});
}

// 64 dimensions, base 10000, 4096 tokens. The wave of pair i turns 4096 * 10000^(-i/32) / 2 pi
// times: 32 times at 64 ln(4096 / (64 pi)) / (2 ln 10000) = 10.47, so that ramp begins at 10, and
// once at 64 ln(4096 / 2 pi) / (2 ln 10000) = 22.51, so that it ends at 23.
TEST(Rope, YarnKeepsFastWavesAndStretchesSlowOnes) {
  RopeConfig rope = rope_of(64, 10000);
  rope.scaling = RopeScaling::yarn;
  rope.factor = 4;
  rope.original_context = 4096;
  const std::vector<float> got = inverse_frequencies(rope, {});
  std::vector<double> want;
  for (int i = 0; i < 32; ++i) {
    const double plain = std::pow(10000.0, -i / 32.0);
    const double stretched = i <= 10 ? 0 : i >= 23 ? 1 : (i - 10) / 13.0;
    want.push_back(plain * (1 - stretched) + plain / 4 * stretched);
  }
  expect_near(got, want);
  EXPECT_NEAR(rope_magnitude(rope), 0.1 * std::log(4.0) + 1, 1e-7);
  rope.factor = 0.5;
  EXPECT_EQ(rope_magnitude(rope), 1.0F);
}

TEST(Rope, TheStyleFollowsWhoWroteTheWeights) {
  EXPECT_EQ(llama_rope_style(WeightOrder::gguf), RopeStyle::interleaved);
  EXPECT_EQ(llama_rope_style(WeightOrder::hugging_face), RopeStyle::half_split);
}

}  // namespace
}  // namespace strata::test
