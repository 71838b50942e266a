// Threads do not show in the results, whether or not they get their CPUs.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "tests/support/loaded_model.h"
#include "tests/support/source_dir.h"

namespace strata::test {
namespace {

constexpr std::int32_t kPrompt = 24;
constexpr std::int32_t kSteps = 12;

LoadedModel load(const std::string& name, const DeviceOptions& threads) {
  LoadedModel loaded;
  RunnerOptions options = test_options(DType::F16, 64);
  options.context = 128;
  loaded.device = open_device("cpu", threads);
  loaded.model =
      Model::load(ModelFile::open(std::filesystem::path(source_dir()) / "models" / name));
  loaded.runner = std::make_unique<Runner>(loaded.model, *loaded.device, options);
  return loaded;
}

// Logits of a prompt's last token and of steps of one token each.
std::vector<float> logits_of(Runner& runner) {
  PagePool& pool = runner.kv().pool();
  const std::int32_t slot = pool.open();
  std::vector<float> logits;
  const auto keep = [&](std::size_t, std::span<const float> row) {
    logits.insert(logits.end(), row.begin(), row.end());
  };
  std::vector<BatchToken> batch;
  for (std::int32_t i = 0; i < kPrompt; ++i)
    batch.push_back({i * 7 % 96, slot, i, i + 1 == kPrompt});
  pool.extend(slot, kPrompt);
  runner.step(batch, keep);
  for (std::int32_t i = kPrompt; i < kPrompt + kSteps; ++i) {
    batch.assign(1, {i * 11 % 96, slot, i, true});
    pool.extend(slot, 1);
    runner.step(batch, keep);
  }
  pool.close(slot);
  return logits;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

class Threads : public testing::TestWithParam<const char*> {};

TEST_P(Threads, AnyNumberGivesTheSameBits) {
  const std::vector<float> want = logits_of(*load(GetParam(), {1}).runner);
  constexpr DeviceOptions kThreads[] = {{2}, {3}, {7}, {64}, {1, 3}, {3, 1}, {2, 64}, {64, 2}};
  for (const DeviceOptions& threads : kThreads)
    EXPECT_TRUE(same_bits(logits_of(*load(GetParam(), threads).runner), want))
        << threads.cpu_threads << " and " << threads.cpu_batch_threads;
}

// A process that does nothing but take a CPU away, and ends with us at the latest.
pid_t start_busy_child() {
  const pid_t child = fork();
  if (child != 0) return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  alarm(120);
  for (volatile unsigned turns = 0;;) turns = turns + 1;
}

TEST_P(Threads, FullLoadOfOthersGivesTheSameBits) {
  LoadedModel loaded = load(GetParam(), {2});
  const std::vector<float> want = logits_of(*loaded.runner);
  const pid_t busy[] = {start_busy_child(), start_busy_child()};
  for (int i = 0; i < 5; ++i)
    EXPECT_TRUE(same_bits(logits_of(*loaded.runner), want)) << "run " << i;
  for (const pid_t child : busy) {
    ASSERT_GT(child, 0);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Threads,
                         testing::Values("strata-tiny.gguf", "strata-tiny-moe.gguf"),
                         [](const auto& tested) { return "model" + std::to_string(tested.index); });

}  // namespace
}  // namespace strata::test
