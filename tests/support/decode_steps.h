#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/engine/runner.h"
#include "runtime/models/synthetic.h"
#include "tests/weights/temp_folder.h"

// A whole model small enough for a device that is played, and its first steps: what they launch is
// counted on each kind of device.
namespace strata::test {

inline constexpr std::int64_t kDecodeLayers = 2;
inline constexpr std::int64_t kDecodeVocabulary = 40;

/// Q4_0 with an output in Q8_0. Heads of 32 columns, so that each block of 32 is one's own.
/// `architecture`: llama, qwen3 or qwen3moe.
inline std::shared_ptr<const Model> decode_model(const TempFolder& folder,
                                                 std::string_view architecture) {
  SyntheticShape shape = *find_synthetic_shape("tiny");
  shape.architecture = architecture;
  shape.layers = kDecodeLayers;
  shape.dim = 64;
  shape.ffn_dim = 96;
  shape.heads = 2;
  shape.kv_heads = 1;
  shape.head_dim = 32;
  shape.vocab = kDecodeVocabulary;
  shape.context = 64;
  shape.llama3_rope = false;
  if (architecture == "qwen3moe") {
    shape.experts = 4;
    shape.experts_used = 2;
    shape.expert_ffn_dim = 32;
  }
  SyntheticOptions options;
  options.type = DType::Q4_0;
  options.output_type = DType::Q8_0;
  const SyntheticModel model = plan_synthetic(shape, options);
  const auto path = folder.path() / (std::string(architecture) + ".gguf");
  OutputFile file(path, model.layout.file_bytes(), true);
  write_synthetic(model, file, 1, {});
  file.commit();
  return Model::load(ModelFile::open(path));
}

struct DecodeOutcome {
  std::vector<float> logits;            ///< of all five tokens
  std::vector<std::uint64_t> launches;  ///< of each step, as the caller counts them
};

/// A prompt of three tokens, then two that come alone. `whole`: matrices are not cut.
inline DecodeOutcome decode_steps(const std::shared_ptr<const Model>& model, Device& device,
                                  bool fuse, bool whole,
                                  const std::function<std::uint64_t()>& launches) {
  RunnerOptions options;
  options.programs.kv = {DType::F16, DType::F16, 16};
  options.programs.max_tokens = 8;
  options.programs.fuse = fuse;
  options.context = 64;
  options.weight_block_rows = whole ? 0 : 1 << 20;
  Runner runner(model, device, options);
  const std::int32_t slot = runner.pool().open();
  DecodeOutcome outcome;
  std::int32_t position = 0;
  for (const std::int32_t tokens : {3, 1, 1}) {
    std::vector<BatchToken> batch;
    for (std::int32_t i = 0; i < tokens; ++i, ++position)
      batch.push_back(
          {7 * position % static_cast<std::int32_t>(kDecodeVocabulary), slot, position, true});
    runner.pool().extend(slot, tokens);
    const std::uint64_t before = launches();
    runner.step(batch, [&](std::size_t, std::span<const float> row) {
      outcome.logits.insert(outcome.logits.end(), row.begin(), row.end());
    });
    outcome.launches.push_back(launches() - before);
  }
  runner.pool().close(slot);
  return outcome;
}

}  // namespace strata::test
