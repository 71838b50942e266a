#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backends/sim/sim_device.h"
#include "runtime/streaming/tier.h"
#include "tests/support/loaded_model.h"
#include "tests/support/shared_data.h"

namespace strata::test {

inline const std::vector<text::TokenId> kPrompt{1, 5, 9, 17, 33, 65, 129, 200, 41, 11, 23};

/// What a model answers to kPrompt.
struct Answers {
  std::vector<float> logits;          ///< of every token of the prompt
  std::vector<text::TokenId> tokens;  ///< the most probable ones after it
  friend bool operator==(const Answers&, const Answers&) = default;
};

/// The most probable token after kPrompt again and again; as many tokens in a step as may be. The
/// cache is left as it was, also by a failure.
inline std::vector<text::TokenId> generate(Runner& runner, std::size_t count) {
  struct Sequence {
    PagePool& pool;
    std::int32_t slot = pool.open();
    ~Sequence() { pool.close(slot); }
  } sequence{runner.pool()};
  std::vector<text::TokenId> tokens = kPrompt;
  for (std::size_t run = 0; tokens.size() < kPrompt.size() + count;) {
    std::vector<BatchToken> batch;
    for (; run < tokens.size() && batch.size() < static_cast<std::size_t>(runner.max_tokens());
         ++run)
      batch.push_back(
          {tokens[run], sequence.slot, static_cast<std::int32_t>(run), run + 1 == tokens.size()});
    sequence.pool.extend(sequence.slot, static_cast<std::int64_t>(batch.size()));
    runner.step(batch, [&](std::size_t, std::span<const float> row) {
      const auto best = std::max_element(row.begin(), row.end()) - row.begin();
      tokens.push_back(static_cast<text::TokenId>(best));
    });
  }
  return {tokens.begin() + static_cast<std::ptrdiff_t>(kPrompt.size()), tokens.end()};
}

inline Answers answers_of(Runner& runner, std::size_t tokens = 12) {
  return {all_logits(runner, kPrompt), generate(runner, tokens)};
}

/// A model whose matrices are all of one quantized type, or of those of a mixture ("Q4_K_M").
inline std::filesystem::path quantized_fixture(const std::string& type) {
  return shared_root() / "fixtures" / "quantized-model" / (type + ".gguf");
}

/// The models that every streaming test runs on: our own, and where the shared files are, others.
inline std::vector<std::string> streamed_model_paths() {
  std::vector<std::string> paths;
  for (const char* name : {"strata-tiny.gguf", "strata-tiny-moe.gguf"})
    paths.push_back((source_root() / "models" / name).string());
  const auto stories = shared_root() / "models" / "stories260K";
  for (const char* type : {"f32", "q8_0"}) {
    const auto path = stories / ("stories260K-" + std::string(type) + ".gguf");
    if (std::filesystem::exists(path)) paths.push_back(path.string());
  }
  const auto blocks = quantized_fixture("Q4_K_M");
  if (std::filesystem::exists(blocks)) paths.push_back(blocks.string());
  return paths;
}

/// A placement with a tier for each layer and one for the output matrix. The head is the CPU's; so
/// is what has Tier::cpu. Where both devices are one, that tier means resident.
inline Placement place_tiers(const Model& model, Device& cpu, Device& device,
                             const std::vector<Tier>& tiers) {
  const auto layers = static_cast<std::int32_t>(model.config().layers);
  Placement placement{{&cpu, 0, 0, {}}};
  for (std::int32_t i = 0; i <= layers; ++i) {
    const Tier tier = tiers[static_cast<std::size_t>(i)];
    Device* const where = tier == Tier::cpu ? &cpu : &device;
    if (placement.back().device != where) placement.push_back({where, i, 0, {}});
    PlacedPart& part = placement.back();
    part.tiers.push_back(tier == Tier::cpu ? Tier::device : tier);
    if (i < layers) ++part.layers;
  }
  return placement;
}

inline std::vector<Tier> same_tier(const Model& model, Tier tier) {
  return std::vector<Tier>(static_cast<std::size_t>(model.config().layers) + 1, tier);
}

inline RunnerOptions streamed_options(std::int32_t max_tokens = 32) {
  RunnerOptions options = test_options(DType::F16, max_tokens);
  options.programs.kv.page_tokens = 16;
  options.context = 64;
  options.stream.unit_bytes = 16 << 10;
  options.stream.slots = 3;
  return options;
}

/// Answers of a model whose weights all stay on the CPU: there bits depend on nothing else.
inline Answers resident_answers(const std::shared_ptr<const Model>& model) {
  const auto cpu = open_device("cpu", {1});
  Runner runner(model, *cpu, streamed_options());
  return answers_of(runner);
}

/// The first Vulkan device; null where there is none, as the test is skipped then.
inline std::unique_ptr<Device> first_vulkan_device() {
  for (const DeviceInfo& info : list_devices({1}))
    if (info.id.backend == BackendKind::vulkan) return open_device(to_string(info.id), {1});
  return nullptr;
}

/// A model with a name for messages.
struct NamedModel {
  std::string name;
  std::shared_ptr<const Model> model;
};

inline std::vector<NamedModel> streamed_models() {
  std::vector<NamedModel> models;
  for (const std::string& path : streamed_model_paths())
    models.push_back(
        {std::filesystem::path(path).stem().string(), Model::load(ModelFile::open(path))});
  return models;
}

}  // namespace strata::test
