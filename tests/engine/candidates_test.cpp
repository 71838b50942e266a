// The largest logits found on the device: what comes to the host, and what is chosen from it.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/engine/simulated.h"

namespace strata::test {
namespace {

const std::vector<text::TokenId> kPrompt{1, 5, 9, 17, 33, 65, 129, 200, 41, 11, 23};

// All of a prompt in one step; the logits of the last tokens are wanted, as `top_only` says.
std::vector<BatchToken> prompt_batch(Runner& runner, const std::vector<bool>& top_only) {
  const std::int32_t slot = runner.pool().open();
  runner.pool().extend(slot, static_cast<std::int64_t>(kPrompt.size()));
  std::vector<BatchToken> batch;
  for (std::size_t i = 0; i < kPrompt.size(); ++i)
    batch.push_back({kPrompt[i], slot, static_cast<std::int32_t>(i)});
  for (std::size_t i = 0; i < top_only.size(); ++i) {
    BatchToken& token = batch[batch.size() - top_only.size() + i];
    token.wants_logits = true;
    token.top_only = top_only[i];
  }
  return batch;
}

void expect_largest(const text::TopLogits& top, std::span<const float> row) {
  ASSERT_EQ(top.ids.size(), std::min<std::size_t>(64, row.size()));
  EXPECT_EQ(top.unusable, 0u);
  std::vector<float> sorted(row.begin(), row.end());
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  for (std::size_t i = 0; i < top.ids.size(); ++i) {
    EXPECT_EQ(top.logits[i], sorted[i]);
    EXPECT_EQ(top.logits[i], row[static_cast<std::size_t>(top.ids[i])]);
  }
}

TEST(Candidates, AreThoseOfTheRowsThatTheCpuMakes) {
  const RunnerOptions options = engine_options(4);
  LoadedModel cpu = load_model(source_root() / "models" / "strata-tiny.gguf", options, 1);
  const std::vector<float> want = all_logits(*cpu.runner, kPrompt);
  const std::size_t vocab = want.size() / kPrompt.size();
  for (const std::vector<bool>& top_only :
       {std::vector<bool>{true}, {false, true}, {true, false, true}, {false, false}}) {
    Simulated simulated = simulate(options);
    Runner& runner = *simulated.runner;
    runner.start(prompt_batch(runner, top_only));
    std::size_t row = 0;
    runner.finish([&](std::size_t index, const LogitsRow& logits) {
      EXPECT_EQ(index, kPrompt.size() - top_only.size() + row);
      const bool some = std::find(top_only.begin(), top_only.end(), true) != top_only.end();
      const std::span<const float> whole(&want[index * vocab], vocab);
      ASSERT_EQ(logits.top() != nullptr, some);
      if (some) expect_largest(*logits.top(), whole);
      const std::span<const float> got = logits.all();
      EXPECT_TRUE(std::equal(got.begin(), got.end(), whole.begin(), whole.end()));
      ++row;
    });
    EXPECT_EQ(row, top_only.size());
  }
}

TEST(Candidates, TheCpuLooksForNone) {
  LoadedModel cpu = load_model(source_root() / "models" / "strata-tiny.gguf", engine_options(2), 1);
  EXPECT_EQ(cpu.runner->candidates(), 0);
  Runner& runner = *cpu.runner;
  runner.start(prompt_batch(runner, {true}));
  runner.finish([&](std::size_t, const LogitsRow& row) {
    EXPECT_EQ(row.top(), nullptr);
    EXPECT_EQ(row.all().size(), static_cast<std::size_t>(cpu.model->config().vocab));
  });
}

// Bytes that come back from the device in a step.
std::uint64_t downloaded(const std::vector<bool>& top_only) {
  sim::DeviceSpeeds speeds;
  speeds.upload = speeds.download = {1e9, 0};
  Simulated simulated = simulate(engine_options(4), {0, 1, true, 0, speeds});
  Runner& runner = *simulated.runner;
  const auto before = simulated.device->clock()->read().bytes;
  runner.start(prompt_batch(runner, top_only));
  runner.finish([](std::size_t, const LogitsRow&) {});
  const auto after = simulated.device->clock()->read().bytes;
  const auto download = static_cast<std::size_t>(sim::Engine::download);
  return after[download] - before[download];
}

TEST(Candidates, OnlyTheyComeToTheHost) {
  Simulated simulated = simulate(engine_options(4));
  const auto row = static_cast<std::uint64_t>(simulated.model->config().vocab) * 4;
  const std::uint64_t found = (2 * 64 + 2) * 4;
  EXPECT_EQ(downloaded({true}), found);
  EXPECT_EQ(downloaded({true, true}), 2 * found);
  EXPECT_EQ(downloaded({false}), row);
  EXPECT_EQ(downloaded({false, true, false}), 3 * found + 2 * row);
}

std::vector<Request> requests_of_all_kinds() {
  std::vector<Request> requests;
  for (unsigned i = 0; i < 9; ++i) {
    Request request = greedy_request({1, 5, static_cast<text::TokenId>(9 + i)}, 20);
    request.top_log_probabilities = i == 1 ? 2 : -1;
    if (i >= 2) request.sampling = {};
    request.sampling.seed = i;
    if (i == 3) request.sampling.top_k = 64;
    if (i == 4) request.sampling.top_k = 65;
    if (i >= 5) request.sampling.top_k = 0;
    if (i == 6) request.sampling.top_p = 1;
    if (i == 7) request.sampling.repeat_penalty = 1.3F;
    if (i == 8) request.sampling.typical_p = 0.9F;
    requests.push_back(request);
  }
  return requests;
}

std::vector<Answer> answers(const RunnerOptions& options, std::uint64_t seed) {
  Simulated simulated = simulate(options, {0, seed});
  simulated.start();
  std::vector<RequestHandle> handles;
  for (const Request& request : requests_of_all_kinds())
    handles.push_back(simulated.engine->submit(request));
  std::vector<Answer> all;
  for (RequestHandle& handle : handles) all.push_back(collect(handle));
  return all;
}

TEST(Candidates, TokensAreThoseThatWholeRowsGive) {
  RunnerOptions options = engine_options(3);
  options.candidates = 0;
  const std::vector<Answer> want = answers(options, 1);
  options.candidates = 64;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const std::vector<Answer> got = answers(options, seed);
    for (std::size_t i = 0; i < want.size(); ++i) {
      EXPECT_EQ(want[i].finished, FinishReason::length) << "request " << i;
      EXPECT_EQ(got[i].ids, want[i].ids) << "request " << i;
      EXPECT_EQ(got[i].log_probabilities, want[i].log_probabilities) << "request " << i;
    }
  }
}

}  // namespace
}  // namespace strata::test
