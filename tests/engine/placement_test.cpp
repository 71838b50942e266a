#include "runtime/engine/placement.h"

#include <gtest/gtest.h>

#include <random>

#include "runtime/engine/runner.h"
#include "tests/support/loaded_model.h"
#include "tests/support/shared_data.h"

namespace strata::test {
namespace {

std::filesystem::path tiny() { return source_root() / "models" / "strata-tiny.gguf"; }

// As "first+count" per part.
std::string text_of(const Placement& placement) {
  std::string text;
  for (const PlacedPart& part : placement)
    text += (text.empty() ? "" : " ") + std::to_string(part.first_layer) + "+" +
            std::to_string(part.layers);
  return text;
}

class PlacementTest : public testing::Test {
 protected:
  std::shared_ptr<const Model> model_ = Model::load(ModelFile::open(tiny()));
  std::int32_t layers_ = static_cast<std::int32_t>(model_->config().layers);
  std::unique_ptr<Device> cpu_ = open_device("cpu", {1});
  std::unique_ptr<Device> a_ = open_device("cpu", {1});
  std::unique_ptr<Device> b_ = open_device("cpu", {1});
};

// The output counts as a layer and is the first to leave the CPU.
TEST_F(PlacementTest, CountsLayersAsUsersOfNglDo) {
  Device* const gpus[] = {a_.get()};
  const std::string all = std::to_string(layers_);
  EXPECT_EQ(text_of(place_layers(*model_, gpus, *cpu_, 0)), "0+" + all);
  EXPECT_EQ(text_of(place_layers(*model_, {}, *cpu_, 99)), "0+" + all);
  EXPECT_EQ(text_of(place_layers(*model_, gpus, *cpu_, 1)), "0+" + all + " " + all + "+0");
  const std::string rest = std::to_string(layers_ - 2);
  EXPECT_EQ(text_of(place_layers(*model_, gpus, *cpu_, 3)), "0+" + rest + " " + rest + "+2");
  EXPECT_EQ(text_of(place_layers(*model_, gpus, *cpu_, layers_)),
            "0+1 1+" + std::to_string(layers_ - 1));
  EXPECT_EQ(text_of(place_layers(*model_, gpus, *cpu_, layers_ + 1)), "0+" + all);
  EXPECT_EQ(place_layers(*model_, gpus, *cpu_, 1000).front().device, a_.get());
}

TEST_F(PlacementTest, SeveralGpusShareByFreeMemory) {
  Device* const gpus[] = {a_.get(), b_.get()};
  const Placement placement = place_layers(*model_, gpus, *cpu_, 1000);
  ASSERT_EQ(placement.size(), 2u);
  EXPECT_EQ(placement[0].layers + placement[1].layers, layers_);
  EXPECT_LE(std::abs(placement[0].layers - placement[1].layers), 1);
  EXPECT_EQ(placement[1].first_layer, placement[0].layers);
}

// Cut anywhere, the stages give the bits of the whole: on one kind of device nothing else changes.
TEST_F(PlacementTest, StagesGiveTheBitsOfTheWhole) {
  const std::vector<text::TokenId> prompt{1, 5, 9, 17, 33, 65, 129, 200, 41, 11, 23};
  Runner whole(model_, *cpu_, test_options());
  const std::vector<float> want = all_logits(whole, prompt);
  const auto tokens = greedy(whole, prompt, 12);
  Device* const gpus[] = {a_.get(), b_.get()};
  for (std::int32_t count = 1; count <= layers_ + 1; ++count) {
    Runner staged(model_, place_layers(*model_, gpus, *cpu_, count), test_options());
    EXPECT_EQ(all_logits(staged, prompt), want) << count << " layers";
    EXPECT_EQ(greedy(staged, prompt, 12), tokens) << count << " layers";
  }
}

std::string halves_text(const Placement& placement) {
  std::string text;
  for (const PlacedPart& part : placement) {
    text += text.empty() ? "" : " ";
    for (std::int32_t i = 0; i < part.layers; ++i)
      text += "waf"[static_cast<int>(part.part_of(part.first_layer + i))];
  }
  return text;
}

TEST_F(PlacementTest, HalvesOfLayersMakeTheFewestParts) {
  Device* const a = a_.get();
  Device* const b = b_.get();
  const auto text = [](const HalfDevices& halves) { return halves_text(place_halves(halves)); };
  EXPECT_EQ(text({a, a, a, a, a}), "ww");
  EXPECT_EQ(text({a, a, a, a, b}), "ww ");
  EXPECT_EQ(text({a, b, a, b, a}), "a f a f ");
  EXPECT_EQ(text({a, b, b, b, b}), "a fw");
  EXPECT_EQ(text({a, a, a, b, b}), "wa f");
  EXPECT_EQ(text({a, b, b, a, a}), "a fa f");
  EXPECT_EQ(place_halves({a, b, b, a, a})[1].cached_layers(), 1);
  const HalfDevices mixed = {a, b, b, a, b, b, a};
  EXPECT_EQ(half_devices(place_halves(mixed), 3), mixed);
}

// The same cut within layers.
TEST_F(PlacementTest, HalvesGiveTheBitsOfTheWhole) {
  const std::vector<text::TokenId> prompt{1, 5, 9, 17, 33, 65, 129, 200, 41, 11, 23};
  const std::string moe = (source_root() / "models" / "strata-tiny-moe.gguf").string();
  for (const auto& model : {model_, Model::load(ModelFile::open(moe))}) {
    Runner whole(model, *cpu_, test_options());
    const std::vector<float> want = all_logits(whole, prompt);
    const auto tokens = greedy(whole, prompt, 12);
    const auto count = 2 * static_cast<std::size_t>(model->config().layers) + 1;
    std::mt19937 random(7);
    for (int i = 0; i < 12; ++i) {
      HalfDevices halves(count, a_.get());
      for (std::size_t half = 0; half < count; ++half)
        if (i == 0 ? half % 2 == 1 : random() % 2 == 0) halves[half] = b_.get();
      const Placement placement = place_halves(halves);
      SCOPED_TRACE(halves_text(placement));
      Runner staged(model, placement, test_options());
      EXPECT_EQ(all_logits(staged, prompt), want);
      EXPECT_EQ(greedy(staged, prompt, 12), tokens);
      EXPECT_EQ(staged.memory().kv, whole.memory().kv) << "every layer has one cache";
    }
  }
}

}  // namespace
}  // namespace strata::test
