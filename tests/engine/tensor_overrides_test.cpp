#include "runtime/engine/tensor_overrides.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/core/error.h"
#include "tests/support/shared_data.h"

namespace strata::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr DeviceId kCpu{BackendKind::cpu, 0};
constexpr DeviceId kSim{BackendKind::sim, 0};

class TensorOverridesTest : public testing::Test {
 protected:
  OverriddenLayers apply(std::vector<TensorOverride> rules) {
    return override_layers(*model_, rules);
  }
  static char letter(const std::optional<DeviceId>& device) {
    return !device ? '-' : *device == kCpu ? 'c' : 's';
  }
  // Two letters per layer, attention and feed-forward, then the output's: c for the CPU, s for the
  // simulated device, - for free.
  static std::string letters(const OverriddenLayers& overridden) {
    std::string result;
    for (const OverriddenLayer& layer : overridden.layers)
      result += {letter(layer.attention), letter(layer.feed_forward)};
    return result + letter(overridden.output);
  }
  std::string text(std::vector<TensorOverride> rules) { return letters(apply(std::move(rules))); }
  std::string refused(std::vector<TensorOverride> rules) {
    try {
      apply(std::move(rules));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::usage);
      EXPECT_EQ(error.subject(), "-ot");
      return error.what();
    }
    ADD_FAILURE();
    return {};
  }

  std::shared_ptr<const Model> model_ =
      Model::load(ModelFile::open(source_root() / "models" / "strata-tiny.gguf"));
  std::size_t layers_ = static_cast<std::size_t>(model_->config().layers);
};

TEST_F(TensorOverridesTest, TheFirstRuleThatMatchesCounts) {
  const std::string free(2 * layers_, '-');
  EXPECT_EQ(text({}), free + "-");
  EXPECT_FALSE(apply({}).any());
  EXPECT_EQ(text({{"^blk\\.0\\.", kCpu}}), "cc" + free.substr(2) + "-");
  EXPECT_EQ(text({{"^blk\\.0\\.", kCpu}, {"blk", kSim}}),
            "cc" + std::string(2 * layers_ - 2, 's') + "-");
  EXPECT_EQ(text({{"blk", kSim}, {"^blk\\.0\\.", kCpu}}), std::string(2 * layers_, 's') + "-");
  EXPECT_TRUE(apply({{"blk", kSim}}).any());
}

// A rule is a search, as in llama.cpp: it need not fit the whole name.
TEST_F(TensorOverridesTest, PatternsAreSearchedFor) {
  EXPECT_EQ(text({{"1.attn_(q|k)\\.w", kCpu}}).substr(0, 4), "--c-");
  EXPECT_EQ(text({{"1.attn_(q|k)\\.w$", kCpu}}).substr(0, 4), "----");
}

TEST_F(TensorOverridesTest, HalvesOfLayersGoAlone) {
  EXPECT_EQ(text({{"ffn_.*", kCpu}}).substr(0, 4), "-c-c");
  EXPECT_EQ(text({{"blk\\.1\\.ffn_.*", kCpu}}).substr(0, 4), "---c");
  EXPECT_EQ(text({{"blk\\.0\\.attn_.*", kCpu}}).substr(0, 4), "c---");
  EXPECT_EQ(text({{"attn", kSim}, {"blk", kCpu}}).substr(0, 4), "scsc");
  EXPECT_THAT(apply({{"ffn_", kCpu}}).notes, IsEmpty()) << "all its matrices were named";
}

TEST_F(TensorOverridesTest, AHalfFollowsItsMatricesAndSaysSo) {
  const OverriddenLayers some = apply({{"blk.[01].ffn_up", kCpu}});
  EXPECT_EQ(letters(some).substr(0, 4), "-c-c");
  EXPECT_THAT(some.notes,
              ElementsAre(HasSubstr("2 halves of layers follow those of their matrices")));
  EXPECT_THAT(apply({{"blk.1.attn_q", kCpu}}).notes,
              ElementsAre(HasSubstr("1 half of layers follows those of its matrices")));
  EXPECT_THAT(apply({{"blk.[01].", kCpu}}).notes, IsEmpty()) << "all tensors were named";
}

// Norms, biases and routers are small and read where the matrices are: rules that name only these
// move nothing, and rules that name them beside pull nothing apart.
TEST_F(TensorOverridesTest, SmallTensorsFollow) {
  const OverriddenLayers norms = apply({{"_norm", kCpu}});
  EXPECT_FALSE(norms.any());
  EXPECT_THAT(norms.notes, ElementsAre(HasSubstr("matches only norms, biases or routers")));
  const auto moe = Model::load(ModelFile::open(source_root() / "models" / "strata-tiny-moe.gguf"));
  const std::vector<TensorOverride> rules = {{"ffn_gate_inp", kSim}, {"_exps", kCpu}};
  const OverriddenLayers experts = override_layers(*moe, rules);
  EXPECT_EQ(letters(experts).substr(0, 4), "-c-c");
  EXPECT_THAT(experts.notes, ElementsAre(HasSubstr("\"ffn_gate_inp\" matches only")));
}

// What is said of a plan asks for it again.
TEST_F(TensorOverridesTest, MayBeWrittenAsRules) {
  EXPECT_EQ(override_text(apply({}), false), "");
  OverriddenLayers all = apply({{"blk\\.0\\.ffn", kCpu},
                                {"blk\\.0\\.", kSim},
                                {"blk\\.1\\.", kCpu},
                                {"blk\\.2\\.attn", kCpu}});
  all.output = kSim;
  EXPECT_EQ(override_text(all, false),
            "blk\\.(1)\\.=cpu:0,blk\\.(2)\\.attn_=cpu:0,blk\\.(0)\\.ffn_=cpu:0,"
            "blk\\.(0)\\.attn_=sim:0,^output=sim:0");
}

TEST_F(TensorOverridesTest, WhatMatchesNothingIsSaid) {
  const OverriddenLayers none = apply({{"_exps", kCpu}});
  EXPECT_FALSE(none.any());
  EXPECT_THAT(none.notes, ElementsAre(HasSubstr("\"_exps\" matches no tensor")));
  EXPECT_THAT(apply({{"blk", kCpu}, {"blk.0", kSim}}).notes, IsEmpty()) << "shadowed, not wrong";
}

TEST_F(TensorOverridesTest, Refusals) {
  EXPECT_THAT(refused({{"blk.(", kCpu}}), HasSubstr("\"blk.(\" is no regular expression: at 5"));
  EXPECT_THAT(refused({{"ffn_up", kCpu}, {"ffn_down", kSim}}),
              HasSubstr("puts matrices of the feed-forward network of layer 0 on"));
  EXPECT_THAT(refused({{"attn_q", kCpu}, {"attn_output", kSim}}),
              HasSubstr("puts matrices of the attention of layer 0 on"));
  EXPECT_THAT(refused({{"((([a-z0-9_.]+)+)+)+[XY]", kCpu}}), HasSubstr("cannot be matched"));
}

}  // namespace
}  // namespace strata::test
