// Weights that others trained (stories260K): the text that llama2.c generates, its perplexity by
// llama.cpp, and the rounded files against the f32 one.
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "runtime/engine/engine.h"
#include "tests/support/loaded_model.h"
#include "tests/support/shared_data.h"

namespace strata::test {
namespace {

std::filesystem::path stories() { return shared_root() / "models" / "stories260K"; }

std::filesystem::path stories_file(std::string_view type) {
  return stories() / ("stories260K-" + std::string(type) + ".gguf");
}

std::string read_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(Stories, GreedyTextOfTheFloatFile) {
  STRATA_NEEDS_SHARED();
  LoadedModel loaded = load_model(stories_file("f32"), test_options());
  const auto tokenizer = load_tokenizer(loaded.model->file().metadata());
  Request request;
  request.prompt = tokenizer->encode("");
  ASSERT_EQ(request.prompt.size(), 1u);  // BOS
  request.sampling.temperature = 0;
  request.max_tokens = 256;
  request.strip_first_space = true;
  Engine engine(std::move(loaded.runner), tokenizer);
  RequestHandle handle = engine.submit(std::move(request));
  std::string text;
  std::size_t tokens = 0;
  while (const auto event = handle.next()) {
    text += event->text;
    tokens += event->token.has_value() ? 1 : 0;
    EXPECT_EQ(event->finished.value_or(FinishReason::length), FinishReason::length);
  }
  EXPECT_EQ(tokens, 256u);
  EXPECT_EQ(text, read_text(stories() / "expected_greedy_256.txt"));
}

double relative_rms(const std::vector<float>& got, const std::vector<float>& want) {
  double difference = 0;
  double size = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    difference += std::pow(double{got[i]} - want[i], 2);
    size += std::pow(double{want[i]}, 2);
  }
  return std::sqrt(difference / size);
}

// An activation passes 21 matmuls on its way (4 in each of 5 layers, and the output), whose errors
// are independent: the square root of 21 times that of one. f16 rounds weights to 11 bits,
// uniformly within 2^-11. Q8_0 rounds weights and activations to steps of amax / 127, uniformly
// within half a step, where the largest of 32 values is about 3 times their root mean square.
TEST(Stories, RoundedFilesAgreeWithTheFloatFile) {
  STRATA_NEEDS_SHARED();
  LoadedModel whole = load_model(stories_file("f32"), test_options(), 1);
  const auto tokenizer = load_tokenizer(whole.model->file().metadata());
  auto tokens = tokenizer->encode(read_text(stories() / "sample.txt"));
  tokens.resize(256);
  const std::vector<float> want = all_logits(*whole.runner, tokens);
  const double of_f16 = std::ldexp(1.0, -11) / std::sqrt(3.0);
  const double of_q8_0 = std::sqrt(2.0) * 3.0 / 127.0 / std::sqrt(12.0);
  for (const auto& [type, each] : {std::pair{"f16", of_f16}, std::pair{"q8_0", of_q8_0}}) {
    LoadedModel rounded = load_model(stories_file(type), test_options(), 1);
    const double error = relative_rms(all_logits(*rounded.runner, tokens), want);
    RecordProperty(std::string("relative_rms_") + type, std::to_string(error));
    EXPECT_LE(error, std::sqrt(21.0) * each) << type;
    EXPECT_GT(error, 0.0) << type;
  }
}

class StoriesPerplexity : public testing::TestWithParam<const char*> {};

/// llama.cpp's figures with an f32 cache, from the README beside the files.
double published(std::string_view type, std::int64_t context) {
  if (type == "f32") return context == 128 ? 2.8199 : 2.7085;
  if (type == "f16") return context == 128 ? 2.8198 : 2.7086;
  return context == 128 ? 2.8186 : 2.7025;
}

TEST_P(StoriesPerplexity, IsAsPublished) {
  STRATA_NEEDS_SHARED();
  LoadedModel loaded = load_model(stories_file(GetParam()), test_options());
  const auto tokenizer = load_tokenizer(loaded.model->file().metadata());
  const auto tokens = tokenizer->encode(read_text(stories() / "sample.txt"));
  const text::TokenId bos = tokenizer->vocabulary().special().bos.value_or(-1);
  for (const std::int64_t context : {128, 256}) {
    const PerplexityResult result = measure_perplexity(*loaded.runner, tokens, context, bos, 0, {});
    EXPECT_EQ(result.chunks, context == 128 ? 16 : 8);
    const double want = published(GetParam(), context);
    RecordProperty("perplexity_" + std::to_string(context), std::to_string(result.perplexity));
    EXPECT_NEAR(result.perplexity, want, 0.002 * want) << "context " << context;
  }
}

INSTANTIATE_TEST_SUITE_P(Files, StoriesPerplexity, testing::Values("f32", "f16", "q8_0"));

}  // namespace
}  // namespace strata::test
