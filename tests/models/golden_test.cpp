// Every architecture against logits that other programs computed: Hugging Face transformers for the
// shared fixtures, PyTorch for the project's own models.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "runtime/core/error.h"
#include "tests/support/loaded_model.h"
#include "tests/support/shared_data.h"

namespace strata::test {
namespace {

struct Golden {
  std::vector<text::TokenId> prompt;
  std::vector<text::TokenId> greedy;
  std::vector<float> logits;
};

Golden read_golden(const std::filesystem::path& json, const std::filesystem::path& logits) {
  const nlohmann::json expected = read_json(json);
  return {expected.at("prompt_ids"), expected.at("greedy_ids"), read_floats(logits)};
}

// Largest difference as a share of the largest logit.
double relative_error(const std::vector<float>& got, const std::vector<float>& want) {
  double largest = 0;
  double difference = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    largest = std::max(largest, std::abs(double{want[i]}));
    difference = std::max(difference, std::abs(double{got[i]} - want[i]));
  }
  return difference / largest;
}

void expect_golden(const std::filesystem::path& model, const Golden& golden) {
  LoadedModel loaded = load_model(model, test_options());
  const std::vector<float> logits = all_logits(*loaded.runner, golden.prompt);
  ASSERT_EQ(logits.size(), golden.logits.size());
  const double error = relative_error(logits, golden.logits);
  testing::Test::RecordProperty("relative_error", std::to_string(error));
  EXPECT_LE(error, 1e-5);
  EXPECT_EQ(greedy(*loaded.runner, golden.prompt, golden.greedy.size()), golden.greedy);
}

class SharedGolden : public testing::TestWithParam<const char*> {};

TEST_P(SharedGolden, LogitsAndGreedyTokens) {
  STRATA_NEEDS_SHARED();
  const auto folder = shared_root() / "fixtures" / "models" / GetParam();
  expect_golden(folder / "model.gguf",
                read_golden(folder / "expected.json", folder / "logits.f32"));
}

// The same model as a Hugging Face directory: its own names, its own order of Q and K rows.
TEST_P(SharedGolden, HuggingFaceDirectory) {
  STRATA_NEEDS_SHARED();
  const auto folder = shared_root() / "fixtures" / "models" / GetParam();
  expect_golden(folder, read_golden(folder / "expected.json", folder / "logits.f32"));
}

// Where GGUF's converter leaves the weights as they are, the bits are the same.
TEST_P(SharedGolden, HuggingFaceBits) {
  STRATA_NEEDS_SHARED();
  const auto folder = shared_root() / "fixtures" / "models" / GetParam();
  LoadedModel gguf = load_model(folder / "model.gguf", test_options());
  if (gguf.model->config().rope.style != RopeStyle::half_split) return;  // Q and K are permuted
  const Golden golden = read_golden(folder / "expected.json", folder / "logits.f32");
  LoadedModel ours = load_model(folder / "model.safetensors", test_options());
  EXPECT_EQ(all_logits(*ours.runner, golden.prompt), all_logits(*gguf.runner, golden.prompt));
}

// The logits behind the last of `tokens`.
std::vector<float> last_logits(Runner& runner, const std::vector<text::TokenId>& tokens) {
  std::vector<float> last;
  run_prompt(
      runner, tokens, static_cast<std::int64_t>(tokens.size()) - 1,
      [&](std::int64_t, std::span<const float> row) { last.assign(row.begin(), row.end()); });
  return last;
}

// The default cache rounds keys and values to 11 bits: one step is 2^-11, and the logits of these
// models move by a few of them. Greedy tokens stay where the margin is above twice the error.
TEST_P(SharedGolden, DefaultCache) {
  STRATA_NEEDS_SHARED();
  const auto folder = shared_root() / "fixtures" / "models" / GetParam();
  const Golden golden = read_golden(folder / "expected.json", folder / "logits.f32");
  LoadedModel rounded = load_model(folder / "model.gguf", test_options(DType::F16));
  const double error = relative_error(all_logits(*rounded.runner, golden.prompt), golden.logits);
  RecordProperty("relative_error", std::to_string(error));
  EXPECT_LE(error, 8 * std::ldexp(1.0, -11));

  const auto tokens = greedy(*rounded.runner, golden.prompt, golden.greedy.size());
  const auto [got, want] = std::mismatch(tokens.begin(), tokens.end(), golden.greedy.begin());
  if (got == tokens.end()) return;
  std::vector<text::TokenId> before = golden.prompt;
  before.insert(before.end(), golden.greedy.begin(), want);
  LoadedModel exact = load_model(folder / "model.gguf", test_options());
  const std::vector<float> exact_row = last_logits(*exact.runner, before);
  const std::vector<float> rounded_row = last_logits(*rounded.runner, before);
  float moved = 0;
  for (std::size_t i = 0; i < exact_row.size(); ++i)
    moved = std::max(moved, std::abs(exact_row[i] - rounded_row[i]));
  const float margin =
      exact_row[static_cast<std::size_t>(*want)] - exact_row[static_cast<std::size_t>(*got)];
  EXPECT_LE(margin, 2 * moved) << "token " << got - tokens.begin() << " of the answer";
}

INSTANTIATE_TEST_SUITE_P(Fixtures, SharedGolden,
                         testing::Values("llama2", "llama3", "llama3-tied", "llama-linear",
                                         "mistral", "qwen2", "qwen3", "qwen3-yarn", "qwen3-wide",
                                         "qwen3moe", "mixtral"),
                         [](const auto& tested) {
                           std::string name = tested.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

class OwnGolden : public testing::TestWithParam<const char*> {};

TEST_P(OwnGolden, LogitsAndGreedyTokens) {
  const auto models = source_root() / "models";
  const std::string name = GetParam();
  expect_golden(models / (name + ".gguf"), read_golden(models / "golden" / (name + ".json"),
                                                       models / "golden" / (name + ".logits.f32")));
}

INSTANTIATE_TEST_SUITE_P(Models, OwnGolden, testing::Values("strata-tiny", "strata-tiny-moe"),
                         [](const auto& tested) {
                           std::string name = tested.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(Goldens, CoverEveryArchitecture) {
  STRATA_NEEDS_SHARED();
  std::set<const Architecture*> covered;
  for (const char* name : {"llama2", "mixtral", "qwen2", "qwen3", "qwen3moe"})
    covered.insert(
        &Model::load(ModelFile::open(shared_root() / "fixtures" / "models" / name / "model.gguf"))
             ->architecture());
  for (const Architecture* architecture : all_architectures())
    EXPECT_TRUE(covered.contains(architecture)) << architecture->name << " has no golden";
}

class RefusedArchitecture : public testing::TestWithParam<const char*> {};

void expect_refused(const std::filesystem::path& path) {
  const auto file = ModelFile::open(path);
  try {
    Model::load(file);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unsupported_model);
    EXPECT_EQ(error_class(error.code()).exit_status, 3);
    EXPECT_NE(std::string(error.what()).find(file->architecture()), std::string::npos)
        << error.what();
  }
}

TEST_P(RefusedArchitecture, IsNamed) {
  STRATA_NEEDS_SHARED();
  const auto folder = shared_root() / "fixtures" / "models" / GetParam();
  expect_refused(folder / "model.gguf");
  expect_refused(folder);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, RefusedArchitecture,
                         testing::Values("deepseek2", "falcon", "gemma", "gemma2", "gemma3", "glm4",
                                         "glm4moe", "gpt-oss", "granite", "olmo2", "phi3",
                                         "qwen2moe", "qwen35", "qwen3next", "smollm3",
                                         "starcoder2"),
                         [](const auto& tested) {
                           std::string name = tested.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace strata::test
