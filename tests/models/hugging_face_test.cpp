// Hugging Face directories that the tests write themselves: the numbers that a GGUF file of the
// same weights gives, in every type and in any number of shards; and what is refused, by name.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "runtime/core/error.h"
#include "runtime/models/hf_config.h"
#include "tests/models/tiny_hf.h"
#include "tests/support/loaded_model.h"
#include "tests/weights/temp_folder.h"

namespace strata::test {
namespace {

using testing::HasSubstr;
using Json = TinyHf::Json;

const std::vector<text::TokenId> kPrompt = {1, 7, 3, 3, 9, 0, 2, 8, 5, 4, 6, 1};

class HuggingFace : public testing::TestWithParam<const char*> {
 protected:
  std::filesystem::path directory(const TinyHf& tiny, std::size_t shards = 1) const {
    tiny.write(hf_.path(), shards);
    return hf_.path();
  }
  std::vector<float> logits(const std::filesystem::path& path, bool pack = true) const {
    RunnerOptions options = test_options(DType::F32, 16);
    options.programs.pack_weights = pack;
    return all_logits(*load_model(path, options).runner, kPrompt);
  }
  std::vector<float> logits(const TinyHf& tiny) const { return logits(directory(tiny)); }
  std::vector<float> gguf_logits(const TinyHf& tiny, bool pack = true) const {
    return logits(gguf_.write("model.gguf", tiny.gguf.build()), pack);
  }
  bool permuted() const {
    return std::string_view(GetParam()) == "llama" || std::string_view(GetParam()) == "mixtral";
  }
  void expect_same(const std::vector<float>& got, const std::vector<float>& want) const {
    if (!permuted()) {
      EXPECT_EQ(got, want);
      return;
    }
    // Products of Q and K are summed in another order.
    ASSERT_EQ(got.size(), want.size());
    for (std::size_t i = 0; i < want.size(); ++i)
      EXPECT_NEAR(got[i], want[i], 1e-5 * std::abs(want[i]) + 1e-4) << i;
  }
  void expect_error(const TinyHf& tiny, const std::string& text,
                    ErrorCode code = ErrorCode::unsupported_model) const {
    SCOPED_TRACE(text);
    try {
      Model::load(ModelFile::open(directory(tiny)));
      ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      EXPECT_THAT(error.what(), HasSubstr(text));
    }
  }

  TempFolder hf_;
  TempFolder gguf_;
};

TEST_P(HuggingFace, SameNumbersAsGguf) {
  for (const char* dtype : {"F32", "F16", "BF16"}) {
    SCOPED_TRACE(dtype);
    const TinyHf tiny(GetParam(), dtype);
    const std::vector<float> want = gguf_logits(tiny);
    EXPECT_TRUE(std::isfinite(want[0]));
    expect_same(logits(directory(tiny)), want);
    expect_same(logits(directory(tiny, 3)), want);
    expect_same(logits(directory(tiny, 2), false), gguf_logits(tiny, false));
  }
}

TEST_P(HuggingFace, MapsInPlace) {
  const TinyHf tiny(GetParam(), "BF16");
  const auto model = Model::load(ModelFile::open(directory(tiny, 2)));
  EXPECT_TRUE(model->warnings().empty());
  const auto q = model->weight(0, "attn_q.weight");
  ASSERT_TRUE(q);
  const ModelFile& file = model->file();
  EXPECT_EQ(q->data.data(),
            file.data(file.require("model.layers.0.self_attn.q_proj.weight")).data());
  const auto experts = model->weight(1, "ffn_up_exps.weight");
  ASSERT_EQ(experts.has_value(), model->config().experts > 0);
  if (!experts) return;
  EXPECT_TRUE(experts->in_pieces());
  EXPECT_EQ(experts->desc, (TensorDesc{DType::BF16, Layout::rows, {4, 16, 32}}));
  ASSERT_EQ(experts->matrices.size(), 4u);
  const bool mixtral = std::string_view(GetParam()) == "mixtral";
  const auto& third = file.require(mixtral ? "model.layers.1.block_sparse_moe.experts.2.w3.weight"
                                           : "model.layers.1.mlp.experts.2.up_proj.weight");
  EXPECT_EQ(experts->matrices[2].data(), file.data(third).data());
}

TEST_P(HuggingFace, TiedEmbeddings) {
  TinyHf tiny(GetParam());
  tiny.config["tie_word_embeddings"] = true;
  const std::vector<float> with_matrix = logits(tiny);  // which is not used
  tiny.tensors.erase("lm_head.weight");
  EXPECT_EQ(logits(tiny), with_matrix);
  tiny.gguf.remove_tensor("output.weight");
  expect_same(with_matrix, gguf_logits(tiny));
  tiny.config["tie_word_embeddings"] = false;
  expect_error(tiny, "lm_head.weight", ErrorCode::bad_model);
}

TEST_P(HuggingFace, KeysThatAreNotHonoured) {
  const std::vector<std::pair<Json, std::string>> cases = {
      {{{"quantization_config", {{"quant_method", "gptq"}, {"bits", 4}}}},
       "key quantization_config: the weights are quantized (quant_method \"gptq\")"},
      {{{"quantization", {{"bits", 4}}}}, "key quantization"},
      {{{"hidden_act", "gelu"}}, "key hidden_act: is \"gelu\""},
      {{{"torch_dtype", "float8_e4m3fn"}}, "key torch_dtype: is \"float8_e4m3fn\""},
      {{{"dtype", "int8"}}, "key dtype: is \"int8\""},
      {{{"architectures", {"LlamaForSequenceClassification"}}}, "key architectures"},
      {{{"rope_scaling", {{"type", "dynamic"}, {"factor", 2.0}}}},
       "key rope_scaling.type: rope scaling \"dynamic\" is not supported"},
      {{{"rope_parameters", {{"rope_type", "longrope"}}}},
       "key rope_parameters.rope_type: rope scaling \"longrope\""},
      {{{"rope_scaling", {{"rope_type", "yarn"}, {"factor", 2.0}, {"short_factor", {1, 2}}}}},
       "key rope_scaling.short_factor"},
      {{{"partial_rotary_factor", 0.5}}, "key partial_rotary_factor"},
      {{{"rope_parameters", {{"rope_type", "default"}, {"partial_rotary_factor", 0.5}}}},
       "key rope_parameters.partial_rotary_factor"},
      {{{"attn_logit_softcapping", 50.0}}, "key attn_logit_softcapping: is 50"},
      {{{"mlp_only_layers", {1}}}, "key mlp_only_layers"},
      {{{"model_type", "phi3"}}, "architecture \"phi3\" is not supported"},
  };
  for (const auto& [keys, text] : cases) {
    TinyHf tiny(GetParam());
    tiny.config.update(keys);
    expect_error(tiny, text);
  }
  TinyHf tiny(GetParam());
  tiny.config.update({{"torch_dtype", "bfloat16"},
                      {"use_cache", true},
                      {"attn_logit_softcapping", nullptr},
                      {"new_thing", false},
                      {"transformers_version", "5.0"},
                      {"rope_scaling", nullptr}});
  EXPECT_NO_THROW(Model::load(ModelFile::open(directory(tiny))));
}

TEST_P(HuggingFace, NumbersOutOfRangeAreNamedAsTheFileNamesThem) {
  const std::vector<std::pair<Json, std::string>> cases = {
      {{{"num_hidden_layers", 0}}, "num_hidden_layers"},
      {{{"hidden_size", "32"}}, "hidden_size"},
      {{{"num_key_value_heads", 3}}, "num_key_value_heads"},
      {{{"rms_norm_eps", 2}}, "rms_norm_eps"},
      {{{"rope_theta", 0}}, "rope_theta"},
      {{{"rope_theta", "x"}}, "rope_theta"},
      {{{"max_position_embeddings", nullptr}}, "max_position_embeddings"},
      {{{"vocab_size", 11}},
       "\"vocab_size\" is 11, but tensor \"model.embed_tokens.weight\" has 10"},
      {{{"head_dim", 4}}, "self_attn.q_proj.weight"},
      {{{"rope_scaling", {{"rope_type", "linear"}}}}, "rope_scaling.factor"},
      {{{"rope_scaling", {{"factor", 2.0}}}}, "\"rope_scaling.rope_type\" is missing"},
      {{{"rope_scaling", {{"type", "linear"}, {"rope_type", "yarn"}}}}, "rope_scaling.type is"},
      {{{"rope_scaling", {{"rope_type", "default"}}},
        {"rope_parameters", {{"rope_type", "default"}}}},
       "stands beside rope_parameters"},
      {{{"rope_scaling", {{"rope_type", "llama3"}, {"factor", 8.0}}}}, "low_freq_factor"},
  };
  for (const auto& [keys, text] : cases) {
    TinyHf tiny(GetParam());
    tiny.config.update(keys);
    expect_error(tiny, text, ErrorCode::bad_model);
  }
}

TEST_P(HuggingFace, TensorsThatAreMissingOrOther) {
  for (const auto& [name, tensor] : TinyHf(GetParam()).tensors) {
    TinyHf lacks(GetParam());
    lacks.tensors.erase(name);
    expect_error(lacks, "tensor \"" + name + "\" is missing", ErrorCode::bad_model);
  }
  TinyHf extra(GetParam());
  extra.tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = {"F32", {1}, "1234"};
  extra.tensors["model.layers.9.mlp.gate.weight"] = {"F32", {1}, "1234"};
  const auto model = Model::load(ModelFile::open(directory(extra)));
  ASSERT_EQ(model->warnings().size(), 1u);
  EXPECT_THAT(model->warnings()[0], HasSubstr("1 tensor of the file is not used"));
  TinyHf eight(GetParam());
  TinyHf::Tensor& q = eight.tensors["model.layers.0.self_attn.q_proj.weight"];
  q.dtype = "F8_E4M3";
  q.data.resize(q.data.size() / 4);
  expect_error(eight, "has type F8_E4M3");
}

TEST_P(HuggingFace, Experts) {
  TinyHf tiny(GetParam());
  if (!tiny.config.contains("num_experts_per_tok")) return;
  for (auto& [name, tensor] : tiny.tensors) {
    if (name.find("layers.0.") == std::string::npos || name.find("experts.2.") == std::string::npos)
      continue;
    tensor.dtype = "F16";
    tensor.data.resize(tensor.data.size() / 2);
  }
  expect_error(tiny, "experts of one layer must be alike");
  if (std::string_view(GetParam()) != "qwen3moe") return;
  for (const char* key : {"norm_topk_prob", "decoder_sparse_step"}) {
    TinyHf other(GetParam());
    other.config[key] = key == std::string("norm_topk_prob") ? Json(false) : Json(2);
    expect_error(other, key);
  }
}

INSTANTIATE_TEST_SUITE_P(Architectures, HuggingFace,
                         testing::Values("llama", "mixtral", "qwen2", "qwen3", "qwen3moe"));

using HuggingFaceLlama = HuggingFace;

// Biases come with their key, and the key with its biases.
TEST_P(HuggingFaceLlama, Biases) {
  TinyHf tiny("llama");
  tiny.config["attention_bias"] = true;
  expect_error(tiny, "model.layers.0.self_attn.q_proj.bias", ErrorCode::bad_model);
  for (int layer = 0; layer < 2; ++layer)
    for (const auto& [name, size] : {std::pair{"q", 32}, {"k", 16}, {"v", 16}, {"o", 32}})
      tiny.tensors[fmt::format("model.layers.{}.self_attn.{}_proj.bias", layer, name)] = {
          "F32", {static_cast<std::uint64_t>(size)}, std::string(4 * size, '\x3c')};
  const std::vector<float> biased = logits(tiny);
  EXPECT_NE(biased, logits(TinyHf("llama")));
  tiny.config["attention_bias"] = false;
  expect_error(tiny, "no key says that there are biases");
  TinyHf qwen("qwen3");
  qwen.config["attention_bias"] = true;
  expect_error(qwen, "key attention_bias: is true");
}

// A token of a model of one layer, with a window, sees what it sees of the last tokens alone: only
// distances count.
TEST_P(HuggingFaceLlama, AttentionWindow) {
  TinyHf tiny("llama");
  tiny.config["num_hidden_layers"] = 1;
  std::erase_if(tiny.tensors, [](const auto& entry) {
    return entry.first.find("layers.1.") != std::string::npos;
  });
  tiny.config["sliding_window"] = 4;
  expect_error(tiny, "models of type llama have none");
  tiny.config["model_type"] = "mistral";
  const LoadedModel windowed = load_model(directory(tiny), test_options(DType::F32, 16));
  EXPECT_EQ(windowed.model->config().window, 4);
  const std::vector<float> got = all_logits(*windowed.runner, kPrompt);
  tiny.config["sliding_window"] = nullptr;
  const LoadedModel whole = load_model(directory(tiny), test_options(DType::F32, 16));
  const std::vector<float> tail = all_logits(*whole.runner, {kPrompt.end() - 4, kPrompt.end()});
  for (std::size_t i = 0; i < 10; ++i)
    EXPECT_NEAR(got[got.size() - 10 + i], tail[30 + i], 1e-4) << i;
  EXPECT_NE(got, all_logits(*whole.runner, kPrompt));
}

TEST_P(HuggingFaceLlama, WindowsOfSomeLayers) {
  TinyHf tiny("qwen2");
  tiny.config.update({{"sliding_window", 4}, {"max_window_layers", 1}});
  const auto window = [&] {
    return Model::load(ModelFile::open(directory(tiny)))->config().window;
  };
  EXPECT_EQ(window(), 0);  // not in use
  tiny.config["use_sliding_window"] = true;
  expect_error(tiny, "key max_window_layers: the last 1 of 2 layers");
  tiny.config["max_window_layers"] = 0;
  EXPECT_EQ(window(), 4);
  tiny.config["max_window_layers"] = 28;
  EXPECT_EQ(window(), 0);
  tiny.config["layer_types"] = {"sliding_attention", "sliding_attention"};
  EXPECT_EQ(window(), 4);
  tiny.config["layer_types"] = {"full_attention", "sliding_attention"};
  expect_error(tiny, "key layer_types");
}

TEST_P(HuggingFaceLlama, RopeParameters) {
  TinyHf tiny("llama");
  const auto rope = [&](const Json& keys) {
    tiny.config.erase("rope_scaling");
    tiny.config.update(keys);
    return Model::load(ModelFile::open(directory(tiny)))->config().rope;
  };
  EXPECT_EQ(rope({{"rope_theta", 500000}}).base, 500000.0);
  EXPECT_EQ(rope({{"rope_scaling", {{"type", "linear"}, {"factor", 4}}}}).factor, 4.0);
  const RopeConfig yarn =
      rope({{"rope_scaling",
             {{"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 16}}}});
  EXPECT_EQ(yarn.scaling, RopeScaling::yarn);
  EXPECT_EQ(yarn.original_context, 16);
  EXPECT_FLOAT_EQ(rope_magnitude(yarn), static_cast<float>(0.1 * std::log(4.0) + 1));
  const RopeConfig whole =
      rope({{"rope_scaling", {{"rope_type", "yarn"}, {"factor", 4.0}, {"attention_factor", 1.5}}}});
  EXPECT_FLOAT_EQ(rope_magnitude(whole), 1.5F);
  EXPECT_EQ(whole.original_context, 64);
  const RopeConfig scaled = rope({{"rope_scaling",
                                   {{"rope_type", "yarn"},
                                    {"factor", 4.0},
                                    {"mscale", 2.0},
                                    {"mscale_all_dim", 1.0},
                                    {"truncate", false}}}});
  EXPECT_FLOAT_EQ(rope_magnitude(scaled),
                  static_cast<float>((0.2 * std::log(4.0) + 1) / (0.1 * std::log(4.0) + 1)));
  EXPECT_FALSE(scaled.truncate);
  tiny.config.erase("rope_theta");
  EXPECT_EQ(rope({{"rope_parameters", {{"rope_theta", 7e4}, {"rope_type", "default"}}}}).base, 7e4);
}

INSTANTIATE_TEST_SUITE_P(Alone, HuggingFaceLlama, testing::Values("llama"));

}  // namespace
}  // namespace strata::test
