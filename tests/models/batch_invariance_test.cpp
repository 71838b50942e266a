// A sequence's logits are the same bits whatever else is in the batch, however its prompt is cut,
// and whatever the number of threads and of row blocks.
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>

#include "tests/support/loaded_model.h"
#include "tests/support/shared_data.h"

namespace strata::test {
namespace {

using Tokens = std::vector<text::TokenId>;

struct Tested {
  const char* name;
  const char* path;  ///< under the shared fixtures; null: the project's own model
  DType cache;
};

std::filesystem::path path_of(const Tested& tested) {
  if (tested.path == nullptr) return source_root() / "models" / "strata-tiny.gguf";
  return shared_root() / "fixtures" / tested.path;
}

RunnerOptions options_of(const Tested& tested) {
  RunnerOptions options = test_options(tested.cache, 64);
  options.programs.kv.page_tokens = 16;
  options.context = 64;
  options.max_sequences = 5;
  return options;
}

Tokens random_tokens(std::size_t count, unsigned seed, const Model& model) {
  std::mt19937 random(seed);
  Tokens tokens(count);
  for (text::TokenId& token : tokens)
    token = static_cast<text::TokenId>(random() % static_cast<std::size_t>(model.config().vocab));
  return tokens;
}

/// Logits of all positions of one sequence, alone, in chunks of `chunk`, and the last `singles`
/// tokens one by one.
std::vector<float> alone(Runner& runner, const Tokens& tokens, std::size_t chunk,
                         std::size_t singles = 0) {
  PagePool& pool = runner.pool();
  const std::int32_t slot = pool.open();
  std::vector<float> logits;
  for (std::size_t first = 0, last = 0; first < tokens.size(); first = last) {
    const std::size_t together = tokens.size() - singles;
    last = first < together ? std::min(first + chunk, together) : first + 1;
    std::vector<BatchToken> batch;
    for (std::size_t i = first; i < last; ++i)
      batch.push_back({tokens[i], slot, static_cast<std::int32_t>(i), true});
    pool.extend(slot, static_cast<std::int64_t>(batch.size()));
    runner.step(batch, [&](std::size_t, std::span<const float> row) {
      logits.insert(logits.end(), row.begin(), row.end());
    });
  }
  pool.close(slot);
  return logits;
}

/// Logits of all positions of all sequences, run in ragged batches: each step takes a random number
/// of tokens of a random choice of them.
std::vector<std::vector<float>> together(Runner& runner, const std::vector<Tokens>& sequences,
                                         unsigned seed) {
  std::mt19937 random(seed);
  PagePool& pool = runner.pool();
  std::vector<std::int32_t> slots;
  for (std::size_t s = 0; s < sequences.size(); ++s) slots.push_back(pool.open());
  std::vector<std::vector<float>> logits(sequences.size());
  std::vector<std::size_t> run(sequences.size(), 0);
  for (;;) {
    std::vector<BatchToken> batch;
    std::vector<std::size_t> owner;
    for (std::size_t s = 0; s < sequences.size(); ++s) {
      const std::size_t count = std::min(random() % 12, sequences[s].size() - run[s]);
      pool.extend(slots[s], static_cast<std::int64_t>(count));
      for (std::size_t i = 0; i < count; ++i, ++run[s]) {
        batch.push_back({sequences[s][run[s]], slots[s], static_cast<std::int32_t>(run[s]), true});
        owner.push_back(s);
      }
    }
    if (!batch.empty())
      runner.step(batch, [&](std::size_t index, std::span<const float> row) {
        std::vector<float>& all = logits[owner[index]];
        all.insert(all.end(), row.begin(), row.end());
      });
    bool done = true;
    for (std::size_t s = 0; s < sequences.size(); ++s) done &= run[s] == sequences[s].size();
    if (done) break;
  }
  for (std::int32_t slot : slots) pool.close(slot);
  return logits;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

class BatchInvariance : public testing::TestWithParam<Tested> {
 protected:
  void SetUp() override {
    if (GetParam().path != nullptr) STRATA_NEEDS_SHARED();
  }
  static std::vector<Tokens> sequences(const Model& model) {
    std::vector<Tokens> all;
    const std::size_t lengths[] = {40, 1, 17, 33, 16};
    for (unsigned s = 0; s < std::size(lengths); ++s)
      all.push_back(random_tokens(lengths[s], s, model));
    return all;
  }
};

TEST_P(BatchInvariance, ChunksAndNeighbours) {
  LoadedModel loaded = load_model(path_of(GetParam()), options_of(GetParam()), 1);
  const std::vector<Tokens> all = sequences(*loaded.model);
  std::vector<std::vector<float>> want;
  for (const Tokens& tokens : all) want.push_back(alone(*loaded.runner, tokens, 1));
  for (const std::size_t chunk : {7, 20, 64})
    EXPECT_TRUE(same_bits(alone(*loaded.runner, all[0], chunk), want[0])) << "chunks of " << chunk;
  for (unsigned count = 1; count <= all.size(); ++count) {
    const auto got =
        together(*loaded.runner, {all.begin(), all.begin() + std::ptrdiff_t{count}}, count);
    for (unsigned s = 0; s < count; ++s)
      EXPECT_TRUE(same_bits(got[s], want[s])) << "sequence " << s << " among " << count;
  }
}

TEST_P(BatchInvariance, ThreadsAndRowBlocks) {
  RunnerOptions options = options_of(GetParam());
  const auto path = path_of(GetParam());
  LoadedModel one = load_model(path, options, 1);
  const Tokens tokens = random_tokens(40, 0, *one.model);
  const std::vector<float> want = alone(*one.runner, tokens, 40);
  const std::vector<float> want_each = alone(*one.runner, tokens, 1);
  EXPECT_TRUE(same_bits(want, want_each));
  for (const int threads : {2, 3}) {
    LoadedModel loaded = load_model(path, options, threads);
    EXPECT_TRUE(same_bits(alone(*loaded.runner, tokens, 40), want)) << threads << " threads";
    EXPECT_TRUE(same_bits(alone(*loaded.runner, tokens, 1), want)) << threads << " threads";
  }
  for (const std::int64_t rows : {16, 48}) {
    options.weight_block_rows = rows;
    LoadedModel loaded = load_model(path, options, 1);
    EXPECT_TRUE(same_bits(alone(*loaded.runner, tokens, 40), want)) << rows << " rows a block";
  }
}

TEST_P(BatchInvariance, PackedAndUnpackedWeights) {
  RunnerOptions options = options_of(GetParam());
  LoadedModel packed = load_model(path_of(GetParam()), options, 1);
  const Tokens tokens = random_tokens(40, 0, *packed.model);
  options.programs.pack_weights = false;
  LoadedModel unpacked = load_model(path_of(GetParam()), options, 1);
  EXPECT_EQ(unpacked.runner->memory().weights_packed, 0u);
  EXPECT_TRUE(same_bits(alone(*unpacked.runner, tokens, 40), alone(*packed.runner, tokens, 40)));
}

TEST_P(BatchInvariance, FusedOpsAndPrimitives) {
  RunnerOptions options = options_of(GetParam());
  LoadedModel fused = load_model(path_of(GetParam()), options, 2);
  const Tokens tokens = random_tokens(40, 0, *fused.model);
  options.programs.fuse = false;
  LoadedModel primitives = load_model(path_of(GetParam()), options, 2);
  for (const std::size_t chunk : {40, 1})
    EXPECT_TRUE(
        same_bits(alone(*fused.runner, tokens, chunk), alone(*primitives.runner, tokens, chunk)))
        << "chunks of " << chunk;
}

// Longer than what attention reduces at once, so that threads share the context of one token.
TEST_P(BatchInvariance, LongContexts) {
  RunnerOptions options = options_of(GetParam());
  options.context = 1300;
  options.max_sequences = 1;
  options.programs.max_tokens = 512;
  options.programs.kv.page_tokens = 64;
  LoadedModel one = load_model(path_of(GetParam()), options, 1);
  const Tokens tokens = random_tokens(1200, 3, *one.model);
  const std::vector<float> want = alone(*one.runner, tokens, 512);
  LoadedModel three = load_model(path_of(GetParam()), options, 3);
  EXPECT_TRUE(same_bits(alone(*three.runner, tokens, 333, 5), want));
}

// Two sequences that share a prefix and then part, against the same two computed apart.
TEST_P(BatchInvariance, ForkedSequences) {
  LoadedModel loaded = load_model(path_of(GetParam()), options_of(GetParam()), 1);
  Runner& runner = *loaded.runner;
  for (const std::size_t shared : {16, 21}) {  // at a page boundary and within a page
    Tokens first = random_tokens(40, 1, *loaded.model);
    Tokens second = random_tokens(40, 2, *loaded.model);
    std::copy_n(first.begin(), shared, second.begin());
    const std::vector<float> want_first = alone(runner, first, 40);
    const std::vector<float> want_second = alone(runner, second, 40);

    PagePool& pool = runner.pool();
    const std::int32_t a = pool.open();
    pool.extend(a, 21);
    std::vector<BatchToken> batch;
    for (std::int32_t i = 0; i < 21; ++i)
      batch.push_back({first[static_cast<std::size_t>(i)], a, i, false});
    runner.step(batch, [](std::size_t, std::span<const float>) {});
    const std::int32_t b = pool.fork(a, static_cast<std::int64_t>(shared));
    EXPECT_EQ(pool.pages(a)[0], pool.pages(b)[0]);
    std::map<std::int32_t, std::vector<float>> last;
    std::int32_t at[2] = {21, static_cast<std::int32_t>(shared)};
    while (at[0] < 40 || at[1] < 40) {
      batch.clear();
      for (const int s : {0, 1}) {
        if (at[s] == 40) continue;
        pool.extend(s == 0 ? a : b, 1);
        const Tokens& tokens = s == 0 ? first : second;
        batch.push_back({tokens[static_cast<std::size_t>(at[s])], s == 0 ? a : b, at[s], true});
        ++at[s];
      }
      runner.step(batch, [&](std::size_t index, std::span<const float> row) {
        last[batch[index].sequence].assign(row.begin(), row.end());
      });
    }
    const auto vocabulary = static_cast<std::ptrdiff_t>(loaded.model->config().vocab);
    EXPECT_TRUE(same_bits(last[a], {want_first.end() - vocabulary, want_first.end()}));
    EXPECT_TRUE(same_bits(last[b], {want_second.end() - vocabulary, want_second.end()}));
    pool.close(a);
    pool.close(b);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Models, BatchInvariance,
    testing::Values(Tested{"own", nullptr, DType::F16}, Tested{"own_f32", nullptr, DType::F32},
                    Tested{"own_bf16", nullptr, DType::BF16},
                    Tested{"llama3", "models/llama3/model.gguf", DType::F16},
                    Tested{"llama3_f32", "models/llama3/model.gguf", DType::F32},
                    Tested{"qwen3moe", "models/qwen3moe/model.gguf", DType::F16},
                    Tested{"qwen3moe_f32", "models/qwen3moe/model.gguf", DType::F32},
                    Tested{"Q8_0", "quantized-model/Q8_0.gguf", DType::F16},
                    Tested{"Q8_0_q8_0", "quantized-model/Q8_0.gguf", DType::Q8_0},
                    Tested{"Q4_0", "quantized-model/Q4_0.gguf", DType::F32},
                    Tested{"Q4_0_q8_0", "quantized-model/Q4_0.gguf", DType::Q8_0},
                    Tested{"Q4_K", "quantized-model/Q4_K.gguf", DType::BF16}),
    [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace strata::test
