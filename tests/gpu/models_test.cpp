// Whole models on a GPU backend (STRATA_TEST_BACKEND): logits of other programs, and the tokens
// that the CPU generates.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "runtime/engine/engine.h"
#include "tests/parity/devices.h"
#include "tests/support/loaded_model.h"
#include "tests/support/shared_data.h"

namespace strata::test {
namespace {

LoadedModel load_on_device(const std::filesystem::path& path, const RunnerOptions& options) {
  return load_model(path, options, 1, device_names().front());
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

bool has_halves(const ModelFile& file) {
  return std::ranges::any_of(file.tensors(),
                             [](const TensorInfo& tensor) { return tensor.dtype() == DType::F16; });
}

// What the error of logits may be. Cooperative matrices multiply halves: what meets F16 weights is
// rounded to 2^-11 of itself, once in each of the four products that a layer does one after the
// other and once before the output. These errors are independent, so their squares add up.
double tolerance(const LoadedModel& loaded) {
  const ProductPaths paths = product_paths(loaded.device->info().id);
  if (paths.prompts.empty() || !paths.why_without_coopmat.empty()) return 1e-4;
  if (!has_halves(loaded.model->file())) return 1e-4;
  return 0x1p-11 * std::sqrt(4.0 * static_cast<double>(loaded.model->config().layers) + 1.0);
}

void expect_golden(const std::filesystem::path& model, const std::filesystem::path& expected,
                   const std::filesystem::path& logits) {
  const nlohmann::json golden = read_json(expected);
  const std::vector<text::TokenId> prompt = golden.at("prompt_ids");
  const std::vector<text::TokenId> tokens = golden.at("greedy_ids");
  LoadedModel loaded = load_on_device(model, test_options());
  const std::vector<float> want = read_floats(logits);
  const std::vector<float> got = all_logits(*loaded.runner, prompt);
  ASSERT_EQ(got.size(), want.size());
  const double error = relative_error(got, want);
  testing::Test::RecordProperty("relative_error", std::to_string(error));
  EXPECT_LE(error, tolerance(loaded));
  EXPECT_EQ(greedy(*loaded.runner, prompt, tokens.size()), tokens);
}

std::string test_name(std::string name) {
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

class SharedOnDevice : public testing::TestWithParam<const char*> {};

TEST_P(SharedOnDevice, LogitsAndGreedyTokens) {
  STRATA_NEEDS_SHARED();
  const auto folder = shared_root() / "fixtures" / "models" / GetParam();
  expect_golden(folder / "model.gguf", folder / "expected.json", folder / "logits.f32");
}

INSTANTIATE_TEST_SUITE_P(Fixtures, SharedOnDevice,
                         testing::Values("llama2", "llama3", "llama3-tied", "llama-linear",
                                         "mistral", "qwen2", "qwen3", "qwen3-yarn", "qwen3-wide",
                                         "qwen3moe", "mixtral"),
                         [](const auto& tested) { return test_name(tested.param); });

class OwnOnDevice : public testing::TestWithParam<const char*> {};

TEST_P(OwnOnDevice, LogitsAndGreedyTokens) {
  const auto models = source_root() / "models";
  const std::string name = GetParam();
  expect_golden(models / (name + ".gguf"), models / "golden" / (name + ".json"),
                models / "golden" / (name + ".logits.f32"));
}

INSTANTIATE_TEST_SUITE_P(Models, OwnOnDevice, testing::Values("strata-tiny", "strata-tiny-moe"),
                         [](const auto& tested) { return test_name(tested.param); });

// Every way to hold weights and caches gives the CPU's tokens where the CPU's margin between the
// two best logits is above what rounding moves them by.
void expect_cpu_tokens(const std::filesystem::path& model, const RunnerOptions& options) {
  LoadedModel cpu = load_model(model, options, 2);
  LoadedModel device = load_on_device(model, options);
  const std::vector<text::TokenId> prompt{1, 5, 9, 17, 33, 65, 129, 200, 41, 11, 23};
  const auto tokens = greedy(*cpu.runner, prompt, 24);
  std::vector<text::TokenId> all = prompt;
  all.insert(all.end(), tokens.begin(), tokens.end());
  const std::vector<float> want = all_logits(*cpu.runner, all);
  const std::vector<float> got = all_logits(*device.runner, all);
  const auto vocab = want.size() / all.size();
  double moved = 0;
  double largest = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    moved = std::max(moved, std::abs(double{got[i]} - want[i]));
    largest = std::max(largest, std::abs(double{want[i]}));
  }
  // Activations and caches of the same formats, rounded at other places.
  EXPECT_LE(moved, 0.08 * largest);
  for (std::size_t t = 0; t < all.size(); ++t) {
    const auto* row = &want[t * vocab];
    const auto best = std::max_element(row, row + vocab) - row;
    const auto* seen = &got[t * vocab];
    const auto chosen = std::max_element(seen, seen + vocab) - seen;
    EXPECT_LE(row[best] - row[chosen], 2 * moved) << "token " << t;
  }
}

TEST(OnDevice, QuantizedWeightsAndCachesFollowTheCpu) {
  STRATA_NEEDS_SHARED();
  const auto stories = shared_root() / "models" / "stories260K";
  for (const char* type : {"f16", "q8_0"})
    for (DType cache : {DType::F32, DType::F16})
      expect_cpu_tokens(stories / ("stories260K-" + std::string(type) + ".gguf"),
                        test_options(cache));
}

TEST(OnDevice, WeightsInTheFilesLayoutFollowTheCpu) {
  RunnerOptions options = test_options();
  options.programs.pack_weights = false;
  expect_cpu_tokens(source_root() / "models" / "strata-tiny-moe.gguf", options);
  expect_cpu_tokens(source_root() / "models" / "strata-tiny.gguf", options);
}

TEST(OnDevice, StoriesGreedyText) {
  STRATA_NEEDS_SHARED();
  const auto stories = shared_root() / "models" / "stories260K";
  LoadedModel loaded = load_on_device(stories / "stories260K-f32.gguf", test_options());
  const auto tokenizer = load_tokenizer(loaded.model->file().metadata());
  Request request;
  request.prompt = tokenizer->encode("");
  request.sampling.temperature = 0;
  request.max_tokens = 256;
  request.strip_first_space = true;
  Engine engine(std::move(loaded.runner), tokenizer);
  RequestHandle handle = engine.submit(std::move(request));
  std::string text;
  while (const auto event = handle.next()) text += event->text;
  std::ifstream in(stories / "expected_greedy_256.txt", std::ios::binary);
  EXPECT_EQ(text, std::string(std::istreambuf_iterator<char>(in), {}));
}

// What the device takes from its own memory gives what the host would have given it, in recorded
// steps of one and of several sequences, and with whole rows.
std::vector<std::vector<text::TokenId>> engine_answers(const RunnerOptions& options) {
  LoadedModel loaded = load_on_device(source_root() / "models" / "strata-tiny.gguf", options);
  Engine engine(std::move(loaded.runner), nullptr);
  std::vector<RequestHandle> handles;
  for (int i = 0; i < 3; ++i) {
    Request request;
    request.prompt = {1, 5, static_cast<text::TokenId>(9 + i), 17};
    request.sampling.seed = 3;
    if (i != 2) request.sampling.temperature = 0;
    request.max_tokens = 5 + 4 * i;
    handles.push_back(engine.submit(std::move(request)));
  }
  std::vector<std::vector<text::TokenId>> answers(handles.size());
  for (std::size_t i = 0; i < handles.size(); ++i)
    while (const auto event = handles[i].next())
      if (event->token) answers[i].push_back(*event->token);
  return answers;
}

TEST(OnDevice, StepsAheadAndCandidatesGiveTheSameTokens) {
  RunnerOptions options = test_options(DType::F16, 32);
  options.context = 64;
  for (const std::int32_t sequences : {1, 2}) {
    options.max_sequences = sequences;
    options.candidates = 0;
    const auto want = engine_answers(options);
    options.candidates = 64;
    EXPECT_EQ(engine_answers(options), want) << sequences << " sequences";
  }
}

// A ragged batch of several sequences, as a server makes them, equals each of them alone.
TEST(OnDevice, BatchedSequencesFollowSingleOnes) {
  RunnerOptions options = test_options();
  options.max_sequences = 3;
  const auto path = source_root() / "models" / "strata-tiny.gguf";
  LoadedModel loaded = load_on_device(path, options);
  Runner& runner = *loaded.runner;
  const std::vector<std::vector<text::TokenId>> prompts{
      {1, 5, 9, 17, 33, 65, 129}, {7, 3}, {200, 41, 11, 23, 5, 6, 7, 8, 9, 10, 11, 12, 13}};
  std::vector<std::vector<float>> alone;
  for (const auto& prompt : prompts) {
    const std::vector<float> logits = all_logits(runner, prompt);
    const auto vocab = static_cast<std::ptrdiff_t>(logits.size() / prompt.size());
    alone.emplace_back(logits.end() - vocab, logits.end());
  }
  PagePool& pool = runner.pool();
  std::vector<BatchToken> batch;
  std::vector<std::int32_t> slots;
  for (const auto& prompt : prompts) {
    const std::int32_t slot = slots.emplace_back(pool.open());
    pool.extend(slot, static_cast<std::int64_t>(prompt.size()));
    for (std::size_t i = 0; i < prompt.size(); ++i)
      batch.push_back({prompt[i], slot, static_cast<std::int32_t>(i), i + 1 == prompt.size()});
  }
  std::size_t next = 0;
  runner.step(batch, [&](std::size_t, std::span<const float> row) {
    EXPECT_LE(relative_error({row.begin(), row.end()}, alone[next++]), tolerance(loaded));
  });
  EXPECT_EQ(next, prompts.size());
  for (const std::int32_t slot : slots) pool.close(slot);
}

}  // namespace
}  // namespace strata::test
