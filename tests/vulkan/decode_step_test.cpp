// A decoding step of whole models on a device that has fast integer dot products, as GPUs do: how
// many dispatches it takes, and that fusing them changes no bit.
#include <gtest/gtest.h>

#include "tests/support/decode_steps.h"
#include "tests/vulkan/on_vulkan.h"

namespace strata::vulkan {
namespace {

using test::decode_model;
using test::DecodeOutcome;

class VulkanDecodeStep : public OnVulkan {
 protected:
  void SetUp() override {
    OnVulkan::SetUp();
    if (IsSkipped()) return;
    PhysicalDevice physical = examine_all(*instance_).at(0);
    if (!physical.limits.has_int_dot || !physical.limits.has_subgroup_arithmetic)
      GTEST_SKIP() << "SKIP: this device has no integer dot products";
    physical.limits.has_fast_int_dot = true;
    device_ = std::make_unique<VulkanDevice>(std::make_shared<Context>(instance_, physical));
  }

  DecodeOutcome run(const std::shared_ptr<const Model>& model, bool fuse) const {
    return test::decode_steps(model, *device_, fuse, true, [&] { return device_->dispatches(); });
  }
};

// A dense layer: norm, q k v, rope and cache, attention, its parts, output + residual, norm, gate
// and up, down + residual; and around the layers: embeddings, wanted rows, norm, logits. The second
// step is recorded and the third replayed.
TEST_F(VulkanDecodeStep, ALayerIsNineDispatchesWithTheBitsOfThePrimitives) {
  const test::TempFolder folder;
  for (const char* architecture : {"llama", "qwen3moe"}) {
    const auto model = decode_model(folder, architecture);
    const DecodeOutcome plain = run(model, false);
    const DecodeOutcome fused = run(model, true);
    ASSERT_EQ(plain.logits.size(), 5U * test::kDecodeVocabulary);
    EXPECT_EQ(fused.logits, plain.logits) << architecture;
    EXPECT_LT(fused.launches[1], plain.launches[1]) << architecture;
    EXPECT_EQ(fused.launches[2], 0U) << architecture;
    if (architecture == std::string_view("llama")) {
      EXPECT_EQ(fused.launches[1], 9 * test::kDecodeLayers + 4U);
    }
  }
}

}  // namespace
}  // namespace strata::vulkan
