#include "runtime/models/tensor_names.h"

#include <fmt/format.h>

namespace strata {
namespace {

constexpr TensorRule kModelTensors[] = {
    {"token_embd.weight", "model.embed_tokens.weight", {Dim::vocab, Dim::dim}, Split::rows},
    {"output_norm.weight", "model.norm.weight", {Dim::dim}},
    {"output.weight", "lm_head.weight", {Dim::vocab, Dim::dim}, Split::rows, false},
};

}  // namespace

std::span<const TensorRule> model_tensors() { return kModelTensors; }

std::string tensor_name(const TensorRule& rule, WeightOrder order, std::int32_t layer,
                        std::int64_t expert) {
  if (order == WeightOrder::gguf)
    return layer < 0 ? std::string(rule.name) : fmt::format("blk.{}.{}", layer, rule.name);
  std::string name = layer < 0 ? std::string(rule.hf_name)
                               : fmt::format("model.layers.{}.{}", layer, rule.hf_name);
  const std::size_t star = name.find('*');
  if (star != std::string::npos && expert >= 0) name.replace(star, 1, std::to_string(expert));
  return name;
}

std::string fused_tensor_name(const TensorRule& rule, WeightOrder order, std::int32_t layer) {
  if (order == WeightOrder::gguf || rule.hf_fused.name.empty()) return {};
  return fmt::format("model.layers.{}.{}", layer, rule.hf_fused.name);
}

}  // namespace strata
