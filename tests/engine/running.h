#pragma once

#include <string>
#include <vector>

#include "runtime/engine/engine.h"
#include "tests/support/loaded_model.h"
#include "tests/support/shared_data.h"

namespace strata::test {

/// An Engine on the project's own tiny model, which every checkout has.
struct Running {
  std::unique_ptr<Device> device;
  std::shared_ptr<const Model> model;
  std::shared_ptr<const text::Tokenizer> tokenizer;
  std::unique_ptr<Engine> engine;
};

inline RunnerOptions engine_options(std::int32_t sequences, std::int64_t context = 96,
                                    std::int32_t max_tokens = 32) {
  RunnerOptions options = test_options(DType::F16, max_tokens);
  options.programs.kv.page_tokens = 16;
  options.context = context;
  options.max_sequences = sequences;
  return options;
}

inline Running start_engine(const RunnerOptions& options, int threads = 1) {
  LoadedModel loaded = load_model(source_root() / "models" / "strata-tiny.gguf", options, threads);
  Running running;
  running.device = std::move(loaded.device);
  running.model = loaded.model;
  running.tokenizer = load_tokenizer(loaded.model->file().metadata());
  running.engine = std::make_unique<Engine>(std::move(loaded.runner), running.tokenizer);
  return running;
}

/// All that a request gave.
struct Answer {
  std::vector<text::TokenId> ids;
  std::vector<double> log_probabilities;
  std::string text;
  FinishReason finished = FinishReason::error;
  std::optional<Error> error;
  RequestTimings timings;
};

inline Answer collect(RequestHandle& handle) {
  Answer answer;
  while (auto event = handle.next()) {
    if (event->token) {
      answer.ids.push_back(*event->token);
      answer.log_probabilities.push_back(event->log_probability);
    }
    answer.text += event->text;
    if (!event->finished) continue;
    answer.finished = *event->finished;
    answer.error = event->error;
    answer.timings = event->timings;
  }
  return answer;
}

inline Answer ask(Engine& engine, Request request) {
  RequestHandle handle = engine.submit(std::move(request));
  return collect(handle);
}

inline Request greedy_request(std::vector<text::TokenId> prompt, std::int64_t max_tokens) {
  Request request;
  request.prompt = std::move(prompt);
  request.sampling.temperature = 0;
  request.max_tokens = max_tokens;
  request.ignore_eos = true;
  request.top_log_probabilities = 0;
  return request;
}

}  // namespace strata::test
