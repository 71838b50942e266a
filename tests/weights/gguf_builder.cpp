#include "tests/weights/gguf_builder.h"

#include <utility>

#include "runtime/weights/stored_type.h"

namespace strata::test {

GgufBuilder& GgufBuilder::kv(std::string_view key, std::uint32_t type, std::string_view payload,
                             std::optional<std::uint64_t> key_length) {
  return raw_kv(Bytes().text(key, key_length).u32(type).raw(payload).str());
}

GgufBuilder& GgufBuilder::kv_string(std::string_view key, std::string_view value) {
  return kv(key, static_cast<std::uint32_t>(ValueType::string), Bytes().text(value).str());
}

GgufBuilder& GgufBuilder::kv_strings(std::string_view key, const std::vector<std::string>& values) {
  Bytes payload;
  payload.u32(static_cast<std::uint32_t>(ValueType::string)).u64(values.size());
  for (const std::string& value : values) payload.text(value);
  return kv(key, static_cast<std::uint32_t>(ValueType::array), payload.str());
}

GgufBuilder& GgufBuilder::raw_kv(std::string_view bytes) {
  pairs_.emplace_back(bytes);
  return *this;
}

GgufBuilder& GgufBuilder::tensor(TensorSpec spec) {
  tensors_.push_back(std::move(spec));
  return *this;
}

GgufBuilder& GgufBuilder::tensor(std::string_view name, std::vector<std::uint64_t> dims,
                                 std::uint32_t type) {
  const StoredType* stored = find_stored_type(type);
  std::uint64_t elements = 1;
  for (std::uint64_t size : dims) elements *= size;
  const std::size_t bytes =
      stored ? elements / static_cast<std::uint64_t>(stored->block_elements) * stored->block_bytes
             : 0;
  return tensor({.name = std::string(name),
                 .dims = std::move(dims),
                 .type = type,
                 .data = std::string(bytes, '\0')});
}

std::string GgufBuilder::build() const {
  Bytes out;
  out.raw(magic_).u32(version_);
  out.u64(tensor_count_.value_or(tensors_.size())).u64(kv_count_.value_or(pairs_.size()));
  for (const std::string& pair : pairs_) out.raw(pair);
  std::uint64_t offset = 0;
  for (const TensorSpec& tensor : tensors_) {
    out.text(tensor.name, tensor.name_length);
    out.u32(tensor.n_dims.value_or(static_cast<std::uint32_t>(tensor.dims.size())));
    for (std::uint64_t size : tensor.dims) out.u64(size);
    out.u32(tensor.type).u64(tensor.offset.value_or(offset));
    offset += (tensor.data.size() + alignment_ - 1) / alignment_ * alignment_;
  }
  if (!tensors_.empty()) out.pad_to(alignment_);
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    out.raw(tensors_[i].data);
    if (i + 1 < tensors_.size() || final_padding_) out.pad_to(alignment_);
  }
  return out.str().substr(0, out.size() - cut_);
}

GgufBuilder small_model() {
  GgufBuilder builder;
  builder.kv_string("general.architecture", "llama")
      .kv_u32("llama.block_count", 1)
      .kv_number("llama.rope.freq_base", ValueType::f32, 10000.0f)
      .kv_number("tokenizer.ggml.add_bos_token", ValueType::boolean, std::uint8_t{1})
      .kv_strings("tokenizer.ggml.tokens", {"<unk>", "a", "b", ""})
      .kv_array<std::int32_t>("tokenizer.ggml.token_type", ValueType::i32, {2, 1, 1, 3})
      .tensor("token_embd.weight", {32, 4})
      .tensor("blk.0.attn_q.weight", {32, 3}, 8)
      .tensor("blk.0.ffn_up_exps.weight", {64, 2, 3}, 2)
      .tensor("output_norm.weight", {5});
  return builder;
}

}  // namespace strata::test
