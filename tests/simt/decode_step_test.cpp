// A decoding step of whole models on simt-host: how many kernels it launches, and that neither
// fusing nor overlapping them changes a bit.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "runtime/engine/runner.h"
#include "runtime/models/synthetic.h"
#include "tests/simt/simt_run.h"
#include "tests/weights/temp_folder.h"

namespace strata::simt_host {
namespace {

using test::TempFolder;

constexpr std::int64_t kLayers = 2;

// Heads of 32 columns, so that each block of 32 is one's own.
SyntheticShape shape_of(std::string_view architecture) {
  SyntheticShape shape = *find_synthetic_shape("tiny");
  shape.architecture = architecture;
  shape.layers = kLayers;
  shape.dim = 64;
  shape.ffn_dim = 96;
  shape.heads = 2;
  shape.kv_heads = 1;
  shape.head_dim = 32;
  shape.vocab = 40;
  shape.context = 64;
  shape.llama3_rope = false;
  if (architecture == "qwen3moe") {
    shape.experts = 4;
    shape.experts_used = 2;
    shape.expert_ffn_dim = 32;
  }
  return shape;
}

std::shared_ptr<const Model> model_of(const TempFolder& folder, std::string_view architecture) {
  SyntheticOptions options;
  options.type = DType::Q4_0;
  options.output_type = DType::Q8_0;
  const SyntheticModel model = plan_synthetic(shape_of(architecture), options);
  const auto path = folder.path() / (std::string(architecture) + ".gguf");
  OutputFile file(path, model.layout.file_bytes(), true);
  write_synthetic(model, file, 1, {});
  file.commit();
  return Model::load(ModelFile::open(path));
}

struct How {
  bool fuse = true;
  bool whole = true;  ///< matrices are not cut
  bool early = false;
};

struct Outcome {
  std::vector<float> logits;
  std::uint64_t launches = 0;  ///< of the last step, which has one token
  std::uint64_t prefetches = 0;
};

// A prompt of three tokens, then two that come alone.
Outcome run(const std::shared_ptr<const Model>& model, int lanes, How how) {
  const auto device = open_simt_host(lanes, 1);
  Machine& machine = machine_of(*device);
  machine.early = how.early;
  RunnerOptions options;
  options.programs.kv = {DType::F16, DType::F16, 16};
  options.programs.max_tokens = 8;
  options.programs.fuse = how.fuse;
  options.context = 64;
  options.weight_block_rows = how.whole ? 0 : 1 << 20;
  Runner runner(model, *device, options);
  const std::int32_t slot = runner.pool().open();
  Outcome outcome;
  std::int32_t position = 0;
  for (const std::int32_t tokens : {3, 1, 1}) {
    std::vector<BatchToken> batch;
    for (std::int32_t i = 0; i < tokens; ++i, ++position)
      batch.push_back({7 * position % 40, slot, position, true});
    runner.pool().extend(slot, tokens);
    const std::uint64_t before = machine.launches;
    runner.step(batch, [&](std::size_t, std::span<const float> row) {
      outcome.logits.insert(outcome.logits.end(), row.begin(), row.end());
    });
    outcome.launches = machine.launches - before;
  }
  outcome.prefetches = machine.prefetches;
  runner.pool().close(slot);
  return outcome;
}

// norm, q k v, rope with cache and attention, output + residual with norm, gate and up, down +
// residual; and around the layers: embeddings, wanted rows, norm, logits.
TEST(SimtDecodeStep, ALayerIsSixKernels) {
  const TempFolder folder;
  for (const char* architecture : {"llama", "qwen3"}) {
    const auto model = model_of(folder, architecture);
    EXPECT_EQ(run(model, 32, {}).launches, 6 * kLayers + 4U) << architecture;
  }
}

TEST(SimtDecodeStep, FusedOverlappedOrNotTheBitsAreTheSame) {
  const TempFolder folder;
  for (const char* architecture : {"llama", "qwen3", "qwen3moe"}) {
    const auto model = model_of(folder, architecture);
    for (const int lanes : {32, 64}) {
      SCOPED_TRACE(std::string(architecture) + ", lanes " + std::to_string(lanes));
      const Outcome plain = run(model, lanes, {.fuse = false});
      ASSERT_EQ(plain.logits.size(), 5U * 40);
      const Outcome cut = run(model, lanes, {.whole = false});
      const Outcome fused = run(model, lanes, {});
      const Outcome early = run(model, lanes, {.early = true});
      EXPECT_EQ(cut.logits, plain.logits);
      EXPECT_EQ(fused.logits, plain.logits);
      EXPECT_EQ(early.logits, plain.logits);
      // Gated products are quantized, and the sum behind attention normed, on their own.
      EXPECT_EQ(cut.launches, fused.launches + 2 * kLayers);
      EXPECT_LT(cut.launches, plain.launches);
      EXPECT_GT(fused.prefetches, 0U);
    }
  }
}

}  // namespace
}  // namespace strata::simt_host
