#include "runtime/models/model.h"

#include <fmt/format.h>

#include <cstring>

#include "runtime/core/error.h"
#include "runtime/models/configure.h"
#include "runtime/models/hf_config.h"
#include "runtime/models/tensor_names.h"

namespace strata {
namespace {

constexpr std::string_view kRopeFactors = "rope_freqs.weight";

}  // namespace

TensorDesc kv_desc(const ModelConfig& config, DType dtype, std::int32_t page_tokens,
                   std::int64_t pages) {
  return {dtype, Layout::rows, {pages, config.kv_heads, page_tokens, config.head_dim}};
}

std::shared_ptr<const Model> Model::load(std::shared_ptr<const ModelFile> file) {
  std::shared_ptr<Model> model(new Model());
  model->file_ = std::move(file);
  if (model->file_->is_hugging_face()) model->order_ = WeightOrder::hugging_face;
  const KeyReader keys(model->file_->metadata(), model->order_);
  model->architecture_ = &find_architecture(keys);
  if (model->file_->is_hugging_face()) check_hf_config(*model->architecture_, keys);
  model->config_ = read_config(*model->architecture_, keys);
  model->read_vocabulary(keys);
  model->read_rope_factors();
  model->check_tensors(keys);
  model->group_layers();
  return model;
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
  const TensorRule* rule = rule_of(layer, name);
  if (rule == nullptr) return std::nullopt;
  const std::vector<const TensorInfo*> tensors = tensors_of(layer, *rule);
  if (tensors.empty()) {
    const TensorInfo* fused = fused_tensor_of(layer, *rule);
    return fused == nullptr ? std::nullopt : std::optional(fused_origin(*fused, *rule));
  }
  const TensorInfo& first = *tensors.front();
  if (const auto widened = widened_.find(first.name); widened != widened_.end())
    return WeightOrigin{
        -1, {DType::F32, Layout::rows, first.shape()}, std::as_bytes(std::span(widened->second))};
  WeightOrigin origin{static_cast<std::int32_t>(file_->index_of(first)),
                      {*first.dtype(), Layout::rows, first.shape()},
                      {}};
  if (tensors.size() == 1 && !is_per_expert(*rule, order_)) {
    origin.data = file_->data(first);
    return origin;
  }
  origin.desc.shape = {static_cast<std::int64_t>(tensors.size()), first.rows(), first.columns()};
  for (const TensorInfo* tensor : tensors) origin.matrices.push_back(file_->data(*tensor));
  return origin;
}

// A part of every expert's rows, or all of the tensor.
WeightOrigin Model::fused_origin(const TensorInfo& tensor, const TensorRule& rule) const {
  const std::span<const std::byte> data = file_->data(tensor);
  WeightOrigin origin{static_cast<std::int32_t>(file_->index_of(tensor)),
                      {*tensor.dtype(), Layout::rows, tensor.shape()},
                      {}};
  const FusedName& fused = rule.hf_fused;
  if (rule.shape.back() != Dim::none)
    origin.desc.shape = {config_.experts, tensor.rows() / config_.experts / fused.parts,
                         tensor.columns()};
  if (fused.parts == 1) {
    origin.data = data;
    return origin;
  }
  const std::size_t bytes = byte_size(origin.desc) / static_cast<std::size_t>(config_.experts);
  for (std::int64_t expert = 0; expert < config_.experts; ++expert)
    origin.matrices.push_back(
        data.subspan(static_cast<std::size_t>(expert * fused.parts + fused.part) * bytes, bytes));
  return origin;
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

Graph Model::layer(const LayerKind& kind, std::int64_t tokens, const KvFormat& kv,
                   LayerPart part) const {
  const std::int32_t first = kind.layers.front();
  GraphBuilder g(tokens, lookup(first), fmt::format("{} layer {}", config_.architecture, first));
  Value x = g.input(config_.dim);
  if (part != LayerPart::feed_forward) {
    const KvPages pages{g.state("k_pages", kv_desc(config_, kv.k, kv.page_tokens, 1)),
                        g.state("v_pages", kv_desc(config_, kv.v, kv.page_tokens, 1))};
    x = architecture_->attention(g, config_, x, pages);
  }
  if (part != LayerPart::attention) x = architecture_->feed_forward(g, config_, x);
  return g.finish(x);
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
