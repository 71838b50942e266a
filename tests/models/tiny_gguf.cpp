#include "tests/models/tiny_gguf.h"

#include <algorithm>
#include <stdexcept>

#include "runtime/weights/stored_type.h"

namespace strata::test {
namespace {

constexpr std::uint64_t kDim = 32;
constexpr std::uint64_t kKv = 16;  // 2 heads of 8
constexpr std::uint64_t kFfn = 48;
constexpr std::uint64_t kExperts = 4;
constexpr std::uint64_t kExpertFfn = 16;
constexpr std::uint64_t kVocabulary = 10;
constexpr int kLayers = 2;

std::string zeros(const std::vector<std::uint64_t>& dims, std::uint32_t type) {
  std::uint64_t elements = 1;
  for (std::uint64_t size : dims) elements *= size;
  const StoredType* stored = find_stored_type(type);
  return std::string(
      elements / static_cast<std::uint64_t>(stored->block_elements) * stored->block_bytes, '\0');
}

}  // namespace

TinyModel::TinyModel(std::string_view kind)
    : architecture_(kind == "mixtral" ? "llama" : std::string(kind)) {
  const bool moe = kind == "mixtral" || kind == "qwen3moe";
  set_u32("block_count", kLayers).set_u32("context_length", 64).set_u32("embedding_length", kDim);
  set_u32("feed_forward_length", kFfn).set_u32("attention.head_count", 4);
  set_u32("attention.head_count_kv", 2).set_f32("attention.layer_norm_rms_epsilon", 1e-5F);
  set_f32("rope.freq_base", 10000.0F);
  if (moe) {
    set_u32("expert_count", kExperts).set_u32("expert_used_count", 2);
    set_u32("expert_feed_forward_length", kExpertFfn);
  }
  add_tensor("token_embd.weight", {kDim, kVocabulary});
  add_tensor("output_norm.weight", {kDim});
  add_tensor("output.weight", {kDim, kVocabulary});
  for (int layer = 0; layer < kLayers; ++layer) add_layer(layer, moe, kind);
}

void TinyModel::add_layer(int layer, bool moe, std::string_view kind) {
  const std::string blk = "blk." + std::to_string(layer) + ".";
  add_tensor(blk + "attn_norm.weight", {kDim}).add_tensor(blk + "ffn_norm.weight", {kDim});
  add_tensor(blk + "attn_q.weight", {kDim, kDim}).add_tensor(blk + "attn_k.weight", {kDim, kKv});
  add_tensor(blk + "attn_v.weight", {kDim, kKv});
  add_tensor(blk + "attn_output.weight", {kDim, kDim});
  if (kind == "qwen2") {
    add_tensor(blk + "attn_q.bias", {kDim}).add_tensor(blk + "attn_k.bias", {kKv});
    add_tensor(blk + "attn_v.bias", {kKv});
  }
  if (kind.starts_with("qwen3"))
    add_tensor(blk + "attn_q_norm.weight", {8}).add_tensor(blk + "attn_k_norm.weight", {8});
  if (!moe) {
    add_tensor(blk + "ffn_gate.weight", {kDim, kFfn})
        .add_tensor(blk + "ffn_up.weight", {kDim, kFfn});
    add_tensor(blk + "ffn_down.weight", {kFfn, kDim});
    return;
  }
  add_tensor(blk + "ffn_gate_inp.weight", {kDim, kExperts});
  add_tensor(blk + "ffn_gate_exps.weight", {kDim, kExpertFfn, kExperts});
  add_tensor(blk + "ffn_up_exps.weight", {kDim, kExpertFfn, kExperts});
  add_tensor(blk + "ffn_down_exps.weight", {kExpertFfn, kDim, kExperts});
}

std::string TinyModel::key(std::string_view suffix) const {
  return architecture_ + "." + std::string(suffix);
}

TinyModel& TinyModel::set(std::string_view suffix, ValueType type, std::string payload) {
  keys_[std::string(suffix)] = {type, std::move(payload)};
  return *this;
}

TinyModel& TinyModel::set_u32(std::string_view suffix, std::uint32_t value) {
  return set(suffix, ValueType::u32, Bytes().number(value).str());
}

TinyModel& TinyModel::set_f32(std::string_view suffix, float value) {
  return set(suffix, ValueType::f32, Bytes().number(value).str());
}

TinyModel& TinyModel::set_text(std::string_view suffix, std::string_view value) {
  return set(suffix, ValueType::string, Bytes().text(value).str());
}

TinyModel& TinyModel::set_list(std::string_view suffix, const std::vector<std::uint32_t>& values) {
  Bytes payload;
  payload.u32(static_cast<std::uint32_t>(ValueType::u32)).u64(values.size());
  for (std::uint32_t value : values) payload.number(value);
  return set(suffix, ValueType::array, payload.str());
}

TinyModel& TinyModel::remove(std::string_view suffix) {
  keys_.erase(keys_.find(suffix));
  return *this;
}

TinyModel& TinyModel::tokens(std::size_t count) {
  tokens_ = count;
  return *this;
}

TensorSpec& TinyModel::tensor(std::string_view name) {
  for (TensorSpec& spec : tensors_)
    if (spec.name == name) return spec;
  throw std::invalid_argument("no tensor " + std::string(name));
}

TinyModel& TinyModel::remove_tensor(std::string_view name) {
  std::erase_if(tensors_, [&](const TensorSpec& spec) { return spec.name == name; });
  return *this;
}

TinyModel& TinyModel::add_tensor(std::string_view name, std::vector<std::uint64_t> dims,
                                 std::uint32_t type) {
  remove_tensor(name);
  std::string data = zeros(dims, type);
  names_.emplace_back(name);
  tensors_.push_back(
      {.name = std::string(name), .dims = std::move(dims), .type = type, .data = std::move(data)});
  return *this;
}

std::string TinyModel::build() const {
  GgufBuilder builder;
  builder.kv_string("general.architecture", architecture_);
  for (const auto& [suffix, value] : keys_)
    builder.kv(key(suffix), static_cast<std::uint32_t>(value.type), value.payload);
  if (tokens_ > 0) {
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < tokens_; ++i) texts.push_back("t" + std::to_string(i));
    builder.kv_strings("tokenizer.ggml.tokens", texts);
  }
  for (const TensorSpec& spec : tensors_) builder.tensor(spec);
  return builder.build();
}

}  // namespace strata::test
