#include "runtime/engine/placement.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace strata::test
