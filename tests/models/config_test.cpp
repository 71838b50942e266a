// Hyper-parameters and tensors that are wrong in one place: each gives a typed error that names it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>

#include "runtime/core/error.h"
#include "tests/models/tiny_gguf.h"
#include "tests/support/loaded_model.h"
#include "tests/weights/temp_folder.h"

namespace strata::test {
namespace {

using testing::HasSubstr;

class Config : public testing::TestWithParam<const char*> {
 protected:
  TinyModel good() const { return TinyModel(GetParam()); }
  bool moe() const {
    return std::string_view(GetParam()) == "mixtral" || std::string_view(GetParam()) == "qwen3moe";
  }
  std::shared_ptr<const Model> load(const TinyModel& tiny) const {
    return Model::load(ModelFile::open(folder_.write("model.gguf", tiny.build())));
  }
  void expect_error(const TinyModel& tiny, const std::string& named, const std::string& why,
                    ErrorCode code = ErrorCode::bad_model) const {
    SCOPED_TRACE(named + " " + why);
    try {
      load(tiny);
      ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      EXPECT_THAT(error.what(), HasSubstr(named));
    }
  }
  void expect_key_error(const std::function<void(TinyModel&)>& damage, std::string_view suffix,
                        const std::string& why) const {
    TinyModel tiny = good();
    damage(tiny);
    expect_error(tiny, tiny.key(suffix), why);
  }

  TempFolder folder_;
};

TEST_P(Config, TheTinyModelLoadsAndRuns) {
  const auto model = load(good());
  EXPECT_EQ(model->config().vocab, 10);
  EXPECT_EQ(model->config().head_dim, 8);
  EXPECT_EQ(model->kinds().size(), 1u);
  EXPECT_TRUE(model->warnings().empty());
  const auto device = open_device("cpu", {1});
  Runner runner(model, *device, test_options(DType::F32, 8));
  const std::vector<float> logits = all_logits(runner, {1, 2, 3});
  EXPECT_EQ(logits, std::vector<float>(30, 0.0F));
}

TEST_P(Config, IntegersOutOfRange) {
  struct Case {
    const char* suffix;
    std::vector<std::uint32_t> bad;
    bool required;
  };
  constexpr std::uint32_t kMax = std::numeric_limits<std::uint32_t>::max();
  const Case cases[] = {
      {"block_count", {0, 1000000000, kMax}, true},
      {"context_length", {0, 1u << 31, kMax}, true},
      {"embedding_length", {0, 1u << 31, kMax}, true},
      {"attention.head_count", {0, 3, kMax}, true},
      {"attention.head_count_kv", {0, 3, 8, kMax}, false},
      {"attention.key_length", {0, 1u << 20, kMax}, false},
      {"attention.value_length", {0, 4, kMax}, false},
      {"rope.dimension_count", {0, 1, 7, 10, kMax}, false},
  };
  for (const Case& tested : cases) {
    for (std::uint32_t value : tested.bad)
      expect_key_error([&](TinyModel& tiny) { tiny.set_u32(tested.suffix, value); }, tested.suffix,
                       "= " + std::to_string(value));
    expect_key_error([&](TinyModel& tiny) { tiny.set_text(tested.suffix, "8"); }, tested.suffix,
                     "is a string");
    expect_key_error([&](TinyModel& tiny) { tiny.set_f32(tested.suffix, 8.0F); }, tested.suffix,
                     "is a float");
    expect_key_error(
        [&](TinyModel& tiny) {
          tiny.set(tested.suffix, ValueType::i32, Bytes().number(std::int32_t{-1}).str());
        },
        tested.suffix, "is negative");
    if (tested.required)
      expect_key_error([&](TinyModel& tiny) { tiny.remove(tested.suffix); }, tested.suffix,
                       "is absent");
  }
}

TEST_P(Config, FloatsOutOfRange) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float bad : {0.0F, -1.0F, nan, infinity, -infinity, 1e30F}) {
    expect_key_error([&](TinyModel& tiny) { tiny.set_f32("rope.freq_base", bad); },
                     "rope.freq_base", std::to_string(bad));
    expect_key_error(
        [&](TinyModel& tiny) { tiny.set_f32("attention.layer_norm_rms_epsilon", bad); },
        "attention.layer_norm_rms_epsilon", std::to_string(bad));
    for (const char* type : {"linear", "yarn"})
      expect_key_error(
          [&](TinyModel& tiny) {
            tiny.set_text("rope.scaling.type", type).set_f32("rope.scaling.factor", bad);
          },
          "rope.scaling.factor", std::to_string(bad));
    expect_key_error(
        [&](TinyModel& tiny) {
          tiny.set_text("rope.scaling.type", "yarn").set_f32("rope.scaling.yarn_beta_fast", bad);
        },
        "rope.scaling.yarn_beta_fast", std::to_string(bad));
  }
  expect_key_error([](TinyModel& tiny) { tiny.remove("attention.layer_norm_rms_epsilon"); },
                   "attention.layer_norm_rms_epsilon", "is absent");
  expect_key_error([](TinyModel& tiny) { tiny.set_u32("rope.freq_base", 10000); }, "rope.freq_base",
                   "is an integer");
}

TEST_P(Config, ListsPerLayer) {
  for (const char* suffix : {"attention.head_count", "attention.head_count_kv"}) {
    const std::uint32_t value = suffix == std::string("attention.head_count") ? 4 : 2;
    EXPECT_NO_THROW(load(good().set_list(suffix, {value, value})));
    for (const auto& bad : {std::vector<std::uint32_t>{}, {value}, {value, value, value}})
      expect_key_error([&](TinyModel& tiny) { tiny.set_list(suffix, bad); }, suffix,
                       std::to_string(bad.size()) + " values for 2 layers");
    TinyModel differs = good();
    differs.set_list(suffix, {value, 1});
    expect_error(differs, differs.key(suffix), "differs", ErrorCode::unsupported_model);
  }
}

TEST_P(Config, Experts) {
  if (!moe()) {
    TinyModel tiny = good();
    tiny.set_u32("expert_count", 4).set_u32("expert_used_count", 2);
    if (std::string_view(GetParam()) != "llama")  // `llama` with experts is Mixtral
      expect_error(tiny, tiny.key("expert_count"), "of a dense model");
    return;
  }
  for (const std::uint32_t used : {0u, 5u, 1u << 31})
    expect_key_error([&](TinyModel& tiny) { tiny.set_u32("expert_used_count", used); },
                     "expert_used_count", "= " + std::to_string(used));
  expect_key_error([](TinyModel& tiny) { tiny.remove("expert_used_count"); }, "expert_used_count",
                   "is absent");
  expect_key_error([](TinyModel& tiny) { tiny.set_u32("expert_count", 1u << 31); }, "expert_count",
                   "is too large");
  TinyModel more = good();
  more.set_u32("expert_count", 8);
  expect_error(more, "ffn_gate_inp.weight", "has fewer experts than the key says");
}

TEST_P(Config, AFactorWithoutATypeIsLinear) {
  for (const char* key : {"rope.scaling.factor", "rope.scale_linear"}) {
    TinyModel tiny = good();
    const RopeConfig rope = load(tiny.set_f32(key, 4))->config().rope;
    EXPECT_EQ(rope.scaling, RopeScaling::linear);
    EXPECT_EQ(rope.factor, 4.0);
    tiny.set_text("rope.scaling.type", "none");
    EXPECT_EQ(load(tiny)->config().rope.scaling, RopeScaling::none);
  }
}

TEST_P(Config, RopeScalingThatIsUnknown) {
  TinyModel tiny = good();
  tiny.set_text("rope.scaling.type", "longrope");
  expect_error(tiny, "longrope", "is not supported", ErrorCode::unsupported_model);
}

TEST_P(Config, RopeFactorsThatAreWrong) {
  TinyModel tiny = good();
  tiny.add_tensor("rope_freqs.weight", {5});
  expect_error(tiny, "rope_freqs.weight", "has 5 values for 4 pairs");
  tiny.add_tensor("rope_freqs.weight", {4});
  expect_error(tiny, "rope_freqs.weight", "holds zeros");
}

TEST_P(Config, EveryTensorIsNeededInItsShapeAndType) {
  const TinyModel complete = good();
  for (const std::string& name : complete.tensor_names()) {
    TinyModel missing = complete;
    missing.remove_tensor(name);
    if (name == "output.weight")
      EXPECT_NO_THROW(load(missing));  // tied to the embeddings
    else
      expect_error(missing, name, "is missing");

    const std::vector<std::uint64_t> dims = TinyModel(complete).tensor(name).dims;
    TinyModel larger = complete;
    std::vector<std::uint64_t> more = dims;
    ASSERT_FALSE(more.empty());
    more.back() += 1;
    larger.add_tensor(name, more);
    // One more row of the embeddings is one more token, which output.weight then lacks.
    expect_error(larger, name == "token_embd.weight" ? "output.weight" : name, "has a row more");

    if (dims.size() > 1 && dims[0] != dims[1]) {
      std::vector<std::uint64_t> turned = dims;
      std::swap(turned[0], turned[1]);
      TinyModel transposed = complete;
      transposed.add_tensor(name, turned);
      expect_error(transposed, name, "is transposed");
    }
    TinyModel integers = complete;
    integers.add_tensor(name, dims, 26);  // I32
    expect_error(integers, name, "is I32", ErrorCode::unsupported_model);
  }
}

TEST_P(Config, VectorsOfHalvesAreWidened) {
  for (const std::uint32_t type : {1u, 30u}) {  // F16, BF16
    TinyModel tiny = good();
    tiny.add_tensor("output_norm.weight", {32}, type);
    const std::string two("\0\x40", 2);  // in either
    std::string& data = tiny.tensor("output_norm.weight").data;
    for (std::size_t i = 0; i < data.size(); i += 2) data.replace(i, 2, two);
    const auto model = load(tiny);
    const auto norm = model->weight(-1, "output_norm.weight");
    ASSERT_TRUE(norm);
    EXPECT_EQ(norm->file_tensor, -1);
    EXPECT_EQ(norm->desc, (TensorDesc{DType::F32, Layout::rows, {32}}));
    std::vector<float> numbers(32);
    std::memcpy(numbers.data(), norm->data.data(), norm->data.size());
    EXPECT_EQ(numbers, std::vector<float>(32, 2.0F));
  }
  TinyModel tiny = good();
  tiny.add_tensor("output_norm.weight", {32}, 8);
  expect_error(tiny, "output_norm.weight", "is Q8_0", ErrorCode::unsupported_model);
}

TEST_P(Config, ExtraTensorsAreAWarning) {
  const auto model = load(good().add_tensor("blk.7.attn_q.weight", {32, 32}));
  ASSERT_EQ(model->warnings().size(), 1u);
  EXPECT_THAT(model->warnings()[0], HasSubstr("blk.7.attn_q.weight"));
}

TEST_P(Config, TokensBeyondTheEmbeddings) {
  EXPECT_NO_THROW(load(good().tokens(10)));
  EXPECT_NO_THROW(load(good().tokens(7)));  // the other rows are padding
  expect_error(good().tokens(11), "tokenizer.ggml.tokens", "lists 11 tokens for 10 rows");
}

TEST_P(Config, LayersOfDifferentTypesAreDifferentKinds) {
  const auto model = load(good().add_tensor("blk.1.attn_q.weight", {32, 32}, 8));  // Q8_0
  ASSERT_EQ(model->kinds().size(), 2u);
  const auto device = open_device("cpu", {1});
  Runner runner(model, *device, test_options(DType::F32, 8));
  EXPECT_EQ(all_logits(runner, {1, 2, 3}), std::vector<float>(30, 0.0F));
}

INSTANTIATE_TEST_SUITE_P(Architectures, Config,
                         testing::Values("llama", "mixtral", "qwen2", "qwen3", "qwen3moe"),
                         [](const auto& tested) { return std::string(tested.param); });

}  // namespace
}  // namespace strata::test
