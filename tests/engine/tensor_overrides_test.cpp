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
  // A letter per layer, then the output's: c for the CPU, s for the simulated device, - for free.
  std::string text(std::vector<TensorOverride> rules) {
    std::string result;
    for (const auto& device : apply(std::move(rules)).layers)
      result += !device ? '-' : *device == kCpu ? 'c' : 's';
    return result;
  }
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
  const std::string free(layers_, '-');
  EXPECT_EQ(text({}), free + "-");
  EXPECT_FALSE(apply({}).any());
  EXPECT_EQ(text({{"^blk\\.0\\.", kCpu}}), "c" + free.substr(1) + "-");
  EXPECT_EQ(text({{"^blk\\.0\\.", kCpu}, {"blk", kSim}}),
            "c" + std::string(layers_ - 1, 's') + "-");
  EXPECT_EQ(text({{"blk", kSim}, {"^blk\\.0\\.", kCpu}}), std::string(layers_, 's') + "-");
  EXPECT_TRUE(apply({{"blk", kSim}}).any());
}

// A rule is a search, as in llama.cpp: it need not fit the whole name.
TEST_F(TensorOverridesTest, PatternsAreSearchedFor) {
  EXPECT_EQ(text({{"1.attn_(q|k)\\.w", kCpu}}).substr(0, 2), "-c");
  EXPECT_EQ(text({{"1.attn_(q|k)\\.w$", kCpu}}).substr(0, 2), "--");
}

TEST_F(TensorOverridesTest, ALayerFollowsItsTensorsAndSaysSo) {
  const OverriddenLayers some = apply({{"blk.[01].ffn_up", kCpu}});
  EXPECT_EQ(some.layers[0], kCpu);
  EXPECT_EQ(some.layers[1], kCpu);
  EXPECT_THAT(some.notes, ElementsAre(HasSubstr("2 layers follow those of their tensors")));
  EXPECT_THAT(apply({{"blk.[01].", kCpu}}).notes, IsEmpty()) << "all tensors were named";
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
              HasSubstr("puts tensors of layer 0 on"));
  EXPECT_THAT(refused({{"((([a-z0-9_.]+)+)+)+[XY]", kCpu}}), HasSubstr("cannot be matched"));
}

}  // namespace
}  // namespace strata::test
