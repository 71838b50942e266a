// The token loop allocates nothing once it has warmed up.
#include <gtest/gtest.h>

#include <functional>

#include "tests/engine/running.h"
#include "tests/support/allocation_counter.h"

namespace strata::test {
namespace {

TEST(Allocation, IsCounted) {
  const std::uint64_t before = allocation_count();
  const auto held = std::make_unique<std::string>(100, 'x');
  EXPECT_EQ(allocation_count(), before + 2);
}

// A prompt in chunks, then decoding and sampling across several page boundaries; two sequences, one
// forked from the other, so that pages are copied as well.
std::uint64_t run_and_sample(Runner& runner, text::Sampler& sampler) {
  PagePool& pool = runner.pool();
  std::vector<BatchToken> batch;
  batch.reserve(64);
  const std::uint64_t before = allocation_count();
  const std::int32_t first = pool.open();
  pool.extend(first, 40);
  for (std::int32_t begin = 0; begin < 40; begin += 20) {
    batch.clear();
    for (std::int32_t i = begin; i < begin + 20; ++i) batch.push_back({i, first, i, i == 39});
    runner.step(batch,
                [&](std::size_t, std::span<const float> logits) { sampler.sample(logits, 0); });
  }
  const std::int32_t second = pool.fork(first, 37);
  std::int32_t tokens[2] = {1, 2};
  std::uint64_t position = 0;
  auto choose = [&](std::size_t index, std::span<const float> logits) {
    tokens[index] = sampler.sample(logits, position).id;
    sampler.accept(tokens[index]);
  };
  const Runner::LogitsSink sink = std::ref(choose);
  for (std::int32_t i = 0; i < 40; ++i, ++position) {
    pool.extend(first, 1);
    pool.extend(second, 1);
    batch.clear();
    batch.push_back({tokens[0], first, 40 + i, true});
    batch.push_back({tokens[1], second, 37 + i, true});
    runner.step(batch, sink);
  }
  pool.close(first);
  pool.close(second);
  return allocation_count() - before;
}

class StepAllocation : public testing::TestWithParam<const char*> {};

TEST_P(StepAllocation, IsNoneInStepsAndSampling) {
  const auto path = std::string(GetParam()) == "own" ? source_root() / "models" / "strata-tiny.gguf"
                                                     : shared_root() / "fixtures" / GetParam();
  if (std::string(GetParam()) != "own") STRATA_NEEDS_SHARED();
  LoadedModel loaded = load_model(path, engine_options(2), 2);
  text::SamplingParameters parameters;
  parameters.repeat_penalty = 1.1F;
  parameters.typical_p = 0.9F;
  text::Sampler sampler(parameters, static_cast<std::size_t>(loaded.model->config().vocab));
  run_and_sample(*loaded.runner, sampler);  // warms up the sampler's buffers
  EXPECT_EQ(run_and_sample(*loaded.runner, sampler), 0u);
}

INSTANTIATE_TEST_SUITE_P(Models, StepAllocation,
                         testing::Values("own", "models/qwen3moe/model.gguf",
                                         "quantized-model/Q8_0.gguf"),
                         [](const auto& tested) { return "model" + std::to_string(tested.index); });

// What the engine adds: events are handed over in a ring that doubles when the reader falls further
// behind than ever (from 16 to 512 events here: five times at most), and texts this short live in
// the string itself. Only a piece of text of more than 15 bytes would allocate.
TEST(Allocation, IsNoneInTheEnginesLoop) {
  Running running = start_engine(engine_options(1, 512));
  Request request = greedy_request({1, 2, 3}, 400);
  request.sampling = {};
  request.sampling.seed = 5;
  request.top_log_probabilities = -1;
  RequestHandle handle = running.engine->submit(std::move(request));
  for (int i = 0; i < 100; ++i) handle.next();
  const std::uint64_t before = allocation_count();
  std::size_t longest = 0;
  for (int i = 0; i < 250; ++i) longest = std::max(longest, handle.next()->text.size());
  const std::uint64_t allocated = allocation_count() - before;
  RecordProperty("longest_text_bytes", std::to_string(longest));
  EXPECT_LE(allocated, 5u) << "longest text " << longest << " bytes";
}

}  // namespace
}  // namespace strata::test
