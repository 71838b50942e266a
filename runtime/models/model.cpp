#include "runtime/models/model.h"

#include <fmt/format.h>

#include <cstring>

#include "runtime/core/error.h"
#include "runtime/models/configure.h"

namespace strata {
namespace {

constexpr TensorRule kModelTensors[] = {
    {"token_embd.weight", "model.embed_tokens.weight", {Dim::vocab, Dim::dim}, Split::rows},
    {"output_norm.weight", "model.norm.weight", {Dim::dim}},
    {"output.weight", "lm_head.weight", {Dim::vocab, Dim::dim}, Split::rows, false},
};

constexpr std::string_view kRopeFactors = "rope_freqs.weight";

std::string tensor_name(std::int32_t layer, std::string_view name) {
  return layer < 0 ? std::string(name) : fmt::format("blk.{}.{}", layer, name);
}

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

}  // namespace

TensorDesc kv_desc(const ModelConfig& config, DType dtype, std::int32_t page_tokens,
                   std::int64_t pages) {
  return {dtype, Layout::rows, {pages, config.kv_heads, page_tokens, config.head_dim}};
}

std::shared_ptr<const Model> Model::load(std::shared_ptr<const ModelFile> file) {
  std::shared_ptr<Model> model(new Model());
  model->file_ = std::move(file);
  const KeyReader keys(model->file_->metadata());
  model->architecture_ = &find_architecture(keys);
  model->config_ = read_config(*model->architecture_, keys);
  if (const TensorInfo* table = model->file_->find("token_embd.weight"))
    model->config_.vocab = table->rows();
  model->check_vocabulary();
  model->read_rope_factors();
  model->check_tensors();
  model->group_layers();
  return model;
}

// Rows beyond the list are padding. Tokens beyond the rows would be looked up outside the table.
void Model::check_vocabulary() const {
  constexpr std::string_view kTokens = "tokenizer.ggml.tokens";
  const MetadataValue* tokens = file_->metadata().find(kTokens);
  if (tokens == nullptr || config_.vocab == 0) return;
  if (tokens->count() > static_cast<std::uint64_t>(config_.vocab))
    file_->metadata().fail(
        kTokens, fmt::format("lists {} tokens, but tensor \"token_embd.weight\" has {} rows",
                             tokens->count(), config_.vocab));
}

void Model::check_tensor(std::int32_t layer, const TensorRule& rule,
                         std::unordered_map<std::string_view, bool>& used) const {
  const std::string name = tensor_name(layer, rule.name);
  const TensorInfo* tensor = file_->find(name);
  if (tensor == nullptr) {
    if (!rule.required) return;
    throw Error(ErrorCode::bad_model, file_->metadata().file(),
                fmt::format("tensor \"{}\" is missing, which architecture \"{}\" needs", name,
                            config_.architecture),
                "the file is incomplete or its hyper-parameters are wrong; see `strata inspect`");
  }
  require_computable(*file_, *tensor);
  const Shape expected = expected_shape(rule, config_);
  if (!same_shape(tensor->shape(), expected))
    throw Error(ErrorCode::bad_model, file_->metadata().file(),
                fmt::format("tensor \"{}\" has shape {}, but the hyper-parameters say {}", name,
                            to_string(tensor->shape()), to_string(expected)));
  if (tensor->dtype() == DType::I8 || tensor->dtype() == DType::I32)
    throw Error(
        ErrorCode::unsupported_model, file_->metadata().file(),
        fmt::format("tensor \"{}\" has type {}, which no weight has", name, tensor->type_name()));
  const bool vector = expected.rank == 1;
  if (vector && tensor->dtype() != DType::F32)
    throw Error(ErrorCode::unsupported_model, file_->metadata().file(),
                fmt::format("tensor \"{}\" is a vector in {}; vectors are computed in F32 only",
                            name, tensor->type_name()));
  used[tensor->name] = true;
}

void Model::check_tensors() {
  std::unordered_map<std::string_view, bool> used;
  for (const TensorRule& rule : kModelTensors) check_tensor(-1, rule, used);
  for (std::int32_t layer = 0; layer < config_.layers; ++layer)
    for (const TensorRule& rule : architecture_->layer_tensors) check_tensor(layer, rule, used);
  warn_of_leftovers(used);
}

void Model::warn_of_leftovers(const std::unordered_map<std::string_view, bool>& used) {
  constexpr std::size_t kNamed = 4;
  std::size_t left = 0;
  std::string names;
  for (const TensorInfo& tensor : file_->tensors()) {
    if (used.contains(tensor.name) || tensor.name == kRopeFactors) continue;
    // Per-layer copies of the rope factors are the same numbers again.
    if (tensor.name.ends_with(".rope_freqs.weight") || tensor.name.ends_with(".attn_rot_embd"))
      continue;
    if (++left <= kNamed) names += fmt::format("{}{}", names.empty() ? "" : ", ", tensor.name);
  }
  if (left > 0)
    warnings_.push_back(
        fmt::format("{} tensor{} of the file {} not used by architecture \"{}\": {}{}", left,
                    left == 1 ? "" : "s", left == 1 ? "is" : "are", config_.architecture, names,
                    left > kNamed ? ", ..." : ""));
}

void Model::read_rope_factors() {
  std::vector<float> factors;
  if (const TensorInfo* tensor = file_->find(kRopeFactors)) {
    const auto want = static_cast<std::int64_t>(config_.rope.rot_dim / 2);
    if (tensor->dtype() != DType::F32 || tensor->elements() != want)
      throw Error(ErrorCode::bad_model, file_->metadata().file(),
                  fmt::format("tensor \"{}\" has {} {} elements, expected {} in F32", kRopeFactors,
                              tensor->elements(), tensor->type_name(), want));
    factors.resize(static_cast<std::size_t>(want));
    std::memcpy(factors.data(), file_->data(*tensor).data(), factors.size() * sizeof(float));
    for (float factor : factors)
      if (!(factor > 0.0F && factor < 1e9F))
        throw Error(ErrorCode::bad_model, file_->metadata().file(),
                    fmt::format("tensor \"{}\" holds {}, expected a positive number", kRopeFactors,
                                factor));
  }
  inv_freq_ = inverse_frequencies(config_.rope, factors);
}

std::optional<WeightOrigin> Model::weight(std::int32_t layer, std::string_view name) const {
  if (name == "rope.inv_freq") {
    const auto bytes = std::as_bytes(std::span(inv_freq_));
    return WeightOrigin{
        -1, {DType::F32, Layout::rows, {static_cast<std::int64_t>(inv_freq_.size())}}, bytes};
  }
  const TensorInfo* tensor = file_->find(tensor_name(layer, name));
  if (tensor == nullptr) return std::nullopt;
  const auto index = static_cast<std::int32_t>(tensor - file_->tensors().data());
  return WeightOrigin{
      index, {*tensor->dtype(), Layout::rows, tensor->shape()}, file_->data(*tensor)};
}

WeightLookup Model::lookup(std::int32_t layer) const {
  return [this, layer](std::string_view name) -> std::optional<TensorDesc> {
    const std::optional<WeightOrigin> origin = weight(layer, name);
    return origin ? std::optional(origin->desc) : std::nullopt;
  };
}

void Model::group_layers() {
  std::unordered_map<std::string, std::size_t> kind_of;
  for (std::int32_t layer = 0; layer < config_.layers; ++layer) {
    std::string signature;
    for (const TensorRule& rule : architecture_->layer_tensors) {
      const std::optional<WeightOrigin> origin = weight(layer, rule.name);
      signature += origin ? fmt::format("{} {};", dtype_info(origin->desc.dtype).name,
                                        to_string(origin->desc.shape))
                          : "-;";
    }
    const auto [entry, added] = kind_of.try_emplace(signature, kinds_.size());
    if (added) kinds_.emplace_back();
    kinds_[entry->second].layers.push_back(layer);
  }
}

Graph Model::head(std::int64_t tokens) const {
  GraphBuilder g(tokens, lookup(-1), config_.architecture + " head");
  return g.finish(g.embed(g.weight("token_embd.weight")));
}

Graph Model::layer(const LayerKind& kind, std::int64_t tokens, const KvFormat& kv) const {
  const std::int32_t first = kind.layers.front();
  GraphBuilder g(tokens, lookup(first), fmt::format("{} layer {}", config_.architecture, first));
  const Value x = g.input(config_.dim);
  const KvPages pages{g.state("k_pages", kv_desc(config_, kv.k, kv.page_tokens, 1)),
                      g.state("v_pages", kv_desc(config_, kv.v, kv.page_tokens, 1))};
  return g.finish(architecture_->block(g, config_, x, pages));
}

Graph Model::tail(std::int64_t tokens) const {
  GraphBuilder g(tokens, lookup(-1), config_.architecture + " tail");
  Value x = g.gather_rows(g.input(config_.dim));
  x = g.rms_norm(x, g.weight("output_norm.weight"), config_.norm_eps);
  const Value output = g.optional_weight("output.weight");
  // Tied embeddings: the table is the output matrix.
  return g.finish(g.linear(x, output ? output : g.weight("token_embd.weight")));
}

}  // namespace strata
