// How a model finds its weights in its file, and what it demands of them.
#include <fmt/format.h>

#include <cstring>

#include "runtime/core/error.h"
#include "runtime/core/half.h"
#include "runtime/models/hf_config.h"
#include "runtime/models/model.h"
#include "runtime/models/tensor_names.h"

namespace strata {
namespace {

Shape expected_shape(const TensorRule& rule, const ModelConfig& config) {
  Shape shape;
  for (Dim dim : rule.shape)
    if (dim != Dim::none) shape[shape.rank++] = size_of(dim, config);
  return shape;
}

// Trailing dimensions of 1 are written by some converters and left out by others.
bool same_shape(Shape a, Shape b) {
  auto strip = [](Shape& s) {
    int ones = 0;
    while (ones + 1 < s.rank && s[ones] == 1) ++ones;
    for (int i = 0; i + ones < s.rank; ++i) s[i] = s[i + ones];
    for (int i = s.rank - ones; i < s.rank; ++i) s[i] = 0;
    s.rank -= ones;
  };
  strip(a);
  strip(b);
  return a == b;
}

// The shape of one expert's matrix.
Shape without_first(const Shape& shape) { return {shape[1], shape[2]}; }

// Numbers that say again what the hyper-parameters say, or per layer what one tensor says for all.
bool is_redundant(std::string_view name) {
  return name == "rope_freqs.weight" || name.ends_with(".rope_freqs.weight") ||
         name.ends_with(".attn_rot_embd") || name.ends_with(".rotary_emb.inv_freq");
}

}  // namespace

const TensorRule* Model::rule_of(std::int32_t layer, std::string_view name) const {
  for (const TensorRule& rule : layer < 0 ? model_tensors() : architecture_->layer_tensors)
    if (rule.name == name) return &rule;
  return nullptr;
}

std::string Model::name_of(std::int32_t layer, const TensorRule& rule, std::int64_t expert) const {
  return tensor_name(rule, order_, layer, expert);
}

bool Model::is_left_out(const TensorRule& rule) const {
  return tied_ && rule.name == "output.weight";
}

// One tensor, or one per expert; none where the file has none of that name.
std::vector<const TensorInfo*> Model::tensors_of(std::int32_t layer, const TensorRule& rule) const {
  std::vector<const TensorInfo*> tensors;
  if (is_left_out(rule)) return tensors;
  const std::int64_t count = is_per_expert(rule, order_) ? config_.experts : 1;
  for (std::int64_t expert = 0; expert < count; ++expert) {
    const TensorInfo* tensor = file_->find(name_of(layer, rule, expert));
    if (tensor == nullptr) break;
    tensors.push_back(tensor);
  }
  return tensors;
}

// Where the file has none of the rule's older name.
const TensorInfo* Model::fused_tensor_of(std::int32_t layer, const TensorRule& rule) const {
  const std::string name = fused_tensor_name(rule, order_, layer);
  return name.empty() ? nullptr : file_->find(name);
}

// Rows beyond the list are padding. Tokens beyond the rows would be looked up outside the table.
void Model::read_vocabulary(const KeyReader& keys) {
  const TensorRule& table = *rule_of(-1, "token_embd.weight");
  if (const TensorInfo* tensor = file_->find(name_of(-1, table, 0))) config_.vocab = tensor->rows();
  if (config_.vocab == 0) return;
  const Metadata& metadata = keys.metadata();
  const std::string rows =
      fmt::format("tensor \"{}\" has {} rows", name_of(-1, table, 0), config_.vocab);
  if (order_ == WeightOrder::hugging_face) {
    tied_ = metadata.find_bool("tie_word_embeddings").value_or(false);
    const auto size = metadata.find_i64("vocab_size");
    if (size && *size != config_.vocab)
      metadata.fail("vocab_size", fmt::format("is {}, but {}", *size, rows));
    return;
  }
  constexpr std::string_view kTokens = "tokenizer.ggml.tokens";
  const MetadataValue* tokens = metadata.find(kTokens);
  if (tokens != nullptr && tokens->count() > static_cast<std::uint64_t>(config_.vocab))
    metadata.fail(kTokens, fmt::format("lists {} tokens, but {}", tokens->count(), rows));
}

void Model::check_weight(const KeyReader& keys, std::int32_t layer, const TensorRule& rule,
                         UsedTensors& used) {
  bool required = rule.required;
  const bool hugging_face = order_ == WeightOrder::hugging_face;
  // An output matrix may be missing in GGUF alone, which says by that that it is the embedding's.
  if (hugging_face && rule.name == "output.weight") required = !tied_;
  const std::vector<const TensorInfo*> tensors = tensors_of(layer, rule);
  if (hugging_face && !rule.required && rule.name.ends_with(".bias")) {
    required = hf_wants_bias(keys, rule);
    if (!required && !tensors.empty())
      throw Error(ErrorCode::unsupported_model, file_->metadata().file(),
                  fmt::format("tensor \"{}\" is in the model's files, and no key says that there "
                              "are biases (attention_bias, mlp_bias)",
                              tensors.front()->name));
  }
  if (const TensorInfo* fused = fused_tensor_of(layer, rule); fused != nullptr && tensors.empty()) {
    check_fused(*fused, rule);
    used.insert(fused->name);
    return;
  }
  const auto wanted = static_cast<std::size_t>(is_per_expert(rule, order_) ? config_.experts : 1);
  if (tensors.size() < wanted && (required || !tensors.empty()))
    throw Error(ErrorCode::bad_model, file_->metadata().file(),
                fmt::format("tensor \"{}\" is missing, which architecture \"{}\" needs",
                            name_of(layer, rule, static_cast<std::int64_t>(tensors.size())),
                            config_.architecture),
                "the file is incomplete or its hyper-parameters are wrong; see `strata inspect`");
  Shape expected = expected_shape(rule, config_);
  if (is_per_expert(rule, order_)) expected = without_first(expected);
  for (const TensorInfo* tensor : tensors) {
    check_tensor(*tensor, expected);
    if (tensor->type != tensors.front()->type)
      throw Error(ErrorCode::unsupported_model, file_->metadata().file(),
                  fmt::format("tensor \"{}\" has type {}, and that of the first expert {}; experts "
                              "of one layer must be alike",
                              tensor->name, tensor->type_name(), tensors.front()->type_name()));
    used.insert(tensor->name);
  }
}

void Model::check_tensor(const TensorInfo& tensor, const Shape& expected) {
  require_computable(*file_, tensor);
  if (!same_shape(tensor.shape(), expected))
    throw Error(ErrorCode::bad_model, file_->metadata().file(),
                fmt::format("tensor \"{}\" has shape {}, but the hyper-parameters say {}",
                            tensor.name, to_string(tensor.shape()), to_string(expected)));
  if (tensor.dtype() == DType::I8 || tensor.dtype() == DType::I32)
    throw Error(ErrorCode::unsupported_model, file_->metadata().file(),
                fmt::format("tensor \"{}\" has type {}, which no weight has", tensor.name,
                            tensor.type_name()));
  if (expected.rank == 1 && tensor.dtype() != DType::F32) widen(tensor);
}

// Some architectures of transformers keep an expert's matrices the other way round, inputs by
// outputs: kernels read rows of outputs, and bytes that are mapped stay where they are.
void Model::check_fused(const TensorInfo& tensor, const TensorRule& rule) {
  Shape expected = expected_shape(rule, config_);
  if (expected.rank == 3) {
    expected[1] *= rule.hf_fused.parts;
    const Shape transposed{expected[0], expected[2], expected[1]};
    if (same_shape(tensor.shape(), transposed) && !same_shape(transposed, expected))
      throw Error(ErrorCode::unsupported_model, file_->metadata().file(),
                  fmt::format("tensor \"{}\" has shape {}: its experts' matrices are transposed; "
                              "wanted {}",
                              tensor.name, to_string(tensor.shape()), to_string(expected)),
                  "save the model again with transformers, which stores this architecture's "
                  "experts one by one or outputs by inputs");
  }
  check_tensor(tensor, expected);
}

// Vectors are few bytes, and computed in F32 only.
void Model::widen(const TensorInfo& vector) {
  const bool bf16 = vector.dtype() == DType::BF16;
  if (!bf16 && vector.dtype() != DType::F16)
    throw Error(ErrorCode::unsupported_model, file_->metadata().file(),
                fmt::format("tensor \"{}\" is a vector in {}; vectors are read in F32, F16 and "
                            "BF16 only",
                            vector.name, vector.type_name()));
  const std::span<const std::byte> data = file_->data(vector);
  std::vector<float>& numbers = widened_[vector.name];
  numbers.clear();
  for (std::size_t at = 0; at < data.size(); at += sizeof(std::uint16_t)) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, data.data() + at, sizeof(bits));
    numbers.push_back(bf16 ? bf16_to_f32(bits) : f16_to_f32(bits));
  }
}

void Model::check_tensors(const KeyReader& keys) {
  UsedTensors used;
  for (const TensorRule& rule : model_tensors()) check_weight(keys, -1, rule, used);
  for (std::int32_t layer = 0; layer < config_.layers; ++layer)
    for (const TensorRule& rule : architecture_->layer_tensors)
      check_weight(keys, layer, rule, used);
  warn_of_leftovers(used);
}

void Model::warn_of_leftovers(const UsedTensors& used) {
  constexpr std::size_t kNamed = 4;
  std::size_t left = 0;
  std::string names;
  for (const TensorInfo& tensor : file_->tensors()) {
    if (used.contains(tensor.name) || is_redundant(tensor.name)) continue;
    if (++left <= kNamed) names += fmt::format("{}{}", names.empty() ? "" : ", ", tensor.name);
  }
  if (left > 0)
    warnings_.push_back(
        fmt::format("{} tensor{} of the file {} not used by architecture \"{}\": {}{}", left,
                    left == 1 ? "" : "s", left == 1 ? "is" : "are", config_.architecture, names,
                    left > kNamed ? ", ..." : ""));
}

}  // namespace strata
