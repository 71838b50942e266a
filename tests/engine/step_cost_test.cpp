#include "runtime/engine/step_cost.h"

#include <gtest/gtest.h>

#include "runtime/engine/kv_cache.h"
#include "tests/support/loaded_model.h"
#include "tests/support/shared_data.h"

namespace strata::test {
namespace {

struct Subject {
  std::unique_ptr<Device> device;
  std::shared_ptr<const Model> model;
  StepCosts costs;
};

// Weights in the file's layout, whose bytes are the file's own.
Subject subject(const char* name) {
  std::unique_ptr<Device> device = open_device("cpu", {1});
  auto model = Model::load(ModelFile::open(source_root() / "models" / name));
  ProgramOptions options;
  options.pack_weights = false;
  StepCosts costs(*model, *device, options);
  return {std::move(device), model, std::move(costs)};
}

// Of the matrices that a token is multiplied with; of experts those that it goes to.
struct Matrices {
  double bytes = 0;
  double elements = 0;
};
Matrices matrices(const Model& model) {
  const ModelConfig& config = model.config();
  Matrices sum;
  for (const TensorInfo& tensor : model.file().tensors()) {
    const bool tied = model.file().find("output.weight") == nullptr;
    if (tensor.n_dims < 2 || (tensor.name == "token_embd.weight" && !tied)) continue;
    const bool expert = tensor.name.find("_exps.") != std::string_view::npos;
    const double share =
        expert ? static_cast<double>(config.experts_used) / static_cast<double>(config.experts) : 1;
    sum.bytes += share * static_cast<double>(tensor.bytes);
    sum.elements += share * static_cast<double>(tensor.elements());
  }
  return sum;
}

double attention_flops(const ModelConfig& config, double seen) {
  return 4 * seen * static_cast<double>(config.layers * config.q_width());
}

TEST(StepCost, ATokenReadsEveryMatrixOnceAndTheCache) {
  for (const char* name : {"strata-tiny.gguf", "strata-tiny-moe.gguf"}) {
    SCOPED_TRACE(name);
    Subject s = subject(name);
    const Matrices expected = matrices(*s.model);
    const StepCost cost = s.costs.step(1, 99, 1);
    // Norm weights and rope's frequencies come on top: vectors.
    EXPECT_GE(cost.weight_bytes, expected.bytes);
    EXPECT_LT(cost.weight_bytes, expected.bytes * 1.01);
    EXPECT_EQ(cost.kv_bytes,
              100.0 * static_cast<double>(KvCache::bytes_per_token(s.model->config(), {})));
    EXPECT_EQ(cost.flops, 2 * expected.elements + attention_flops(s.model->config(), 100));
  }
}

TEST(StepCost, APromptIsMultipliedWithEveryMatrixButTheHead) {
  Subject s = subject("strata-tiny.gguf");
  const ModelConfig& config = s.model->config();
  const double head = static_cast<double>(config.vocab * config.dim);
  const double layers = matrices(*s.model).elements - head;  // its embeddings are tied
  // 16 tokens behind 10: they see 11 to 26, on average 18 (rounded down).
  const StepCost without = s.costs.step(16, 10, 0);
  EXPECT_EQ(without.flops, 16 * 2 * layers + 16 * attention_flops(config, 18));
  EXPECT_EQ(s.costs.step(16, 10, 1).flops, without.flops + 2 * head) << "one row of logits";
}

TEST(StepCost, NamesThePathOfMostMatmuls) {
  Subject s = subject("strata-tiny.gguf");
  const StepCost cost = s.costs.step(8, 0, 1);
  const auto path = static_cast<std::size_t>(cost.path());
  for (double flops : cost.path_flops) EXPECT_LE(flops, cost.path_flops[path]);
  EXPECT_GT(cost.path_flops[path], 0);
}

}  // namespace
}  // namespace strata::test
