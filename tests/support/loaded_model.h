#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "backends/registry.h"
#include "runtime/engine/load_tokenizer.h"
#include "runtime/engine/perplexity.h"
#include "runtime/engine/runner.h"

namespace strata::test {

/// A model on a device with a Runner, for tests.
struct LoadedModel {
  std::unique_ptr<Device> device;
  std::shared_ptr<const Model> model;
  std::unique_ptr<Runner> runner;
};

inline RunnerOptions test_options(DType cache = DType::F32, std::int32_t max_tokens = 512) {
  RunnerOptions options;
  options.programs.kv = {cache, cache, 64};
  options.programs.max_tokens = max_tokens;
  options.context = 512;
  return options;
}

inline LoadedModel load_model(const std::filesystem::path& path, const RunnerOptions& options,
                              int threads = 2, const std::string& device = "cpu") {
  LoadedModel loaded;
  loaded.device = open_device(device, {threads});
  loaded.model = Model::load(ModelFile::open(path));
  loaded.runner = std::make_unique<Runner>(loaded.model, *loaded.device, options);
  return loaded;
}

inline nlohmann::json read_json(const std::filesystem::path& path) {
  std::ifstream in(path);
  return nlohmann::json::parse(in);
}

inline std::vector<float> read_floats(const std::filesystem::path& path) {
  std::vector<float> values(std::filesystem::file_size(path) / sizeof(float));
  std::ifstream in(path, std::ios::binary);
  in.read(reinterpret_cast<char*>(values.data()),
          static_cast<std::streamsize>(values.size() * sizeof(float)));
  return values;
}

/// Logits of every position of `tokens`, (tokens, vocab).
inline std::vector<float> all_logits(Runner& runner, const std::vector<text::TokenId>& tokens) {
  std::vector<float> logits;
  run_prompt(runner, tokens, 0, [&](std::int64_t, std::span<const float> row) {
    logits.insert(logits.end(), row.begin(), row.end());
  });
  return logits;
}

/// The most probable token again and again, `count` times, without an engine or a sampler.
inline std::vector<text::TokenId> greedy(Runner& runner, std::vector<text::TokenId> tokens,
                                         std::size_t count) {
  PagePool& pool = runner.pool();
  const std::int32_t slot = pool.open();
  const std::size_t prompt = tokens.size();
  std::size_t run = 0;
  while (tokens.size() < prompt + count) {
    std::vector<BatchToken> batch;
    for (; run < tokens.size(); ++run)
      batch.push_back(
          {tokens[run], slot, static_cast<std::int32_t>(run), run + 1 == tokens.size()});
    pool.extend(slot, static_cast<std::int64_t>(batch.size()));
    runner.step(batch, [&](std::size_t, std::span<const float> row) {
      const auto best = std::max_element(row.begin(), row.end()) - row.begin();
      tokens.push_back(static_cast<text::TokenId>(best));
    });
  }
  pool.close(slot);
  return {tokens.begin() + static_cast<std::ptrdiff_t>(prompt), tokens.end()};
}

}  // namespace strata::test
