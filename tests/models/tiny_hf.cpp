#include "tests/models/tiny_hf.h"

#include <fmt/format.h>

#include <cstring>
#include <fstream>
#include <random>
#include <stdexcept>

#include "runtime/core/half.h"
#include "runtime/models/tensor_names.h"
#include "tests/weights/safetensors_builder.h"

namespace strata::test {
namespace {

constexpr std::size_t kHeadDim = 8;

std::size_t bytes_of(std::string_view dtype) { return dtype == "F32" ? 4 : 2; }
std::uint32_t gguf_type(std::string_view dtype) {
  return dtype == "F32" ? 0 : dtype == "F16" ? 1 : 30;
}

void append(std::string& bytes, std::string_view dtype, float value) {
  char raw[4];
  const std::uint16_t half = dtype == "F16" ? f32_to_f16(value) : f32_to_bf16(value);
  if (dtype == "F32")
    std::memcpy(raw, &value, 4);
  else
    std::memcpy(raw, &half, 2);
  bytes.append(raw, bytes_of(dtype));
}

// Numbers that each of the three types holds exactly.
std::string random_numbers(std::size_t count, std::string_view dtype, std::mt19937& random,
                           float centre) {
  std::string bytes;
  for (std::size_t i = 0; i < count; ++i)
    append(bytes, dtype, centre + (static_cast<float>(random() % 65) - 32.0F) / 64.0F);
  return bytes;
}

const Architecture& architecture_of(std::string_view kind) {
  for (const Architecture* architecture : all_architectures())
    if (architecture->name == kind) return *architecture;
  throw std::runtime_error("no such architecture");
}

std::string model_type(std::string_view kind) {
  return kind == "qwen3moe" ? "qwen3_moe" : std::string(kind);
}

}  // namespace

TinyHf::TinyHf(std::string_view kind, std::string_view dtype) : gguf(kind) {
  const bool moe = kind == "mixtral" || kind == "qwen3moe";
  config = {{"model_type", model_type(kind)},
            {"hidden_size", 32},
            {"num_hidden_layers", 2},
            {"max_position_embeddings", 64},
            {"intermediate_size", moe && kind == "mixtral" ? 16 : 48},
            {"num_attention_heads", 4},
            {"num_key_value_heads", 2},
            {"rms_norm_eps", 1e-5},
            {"rope_theta", 10000},
            {"vocab_size", 10},
            {"tie_word_embeddings", false},
            {"hidden_act", "silu"}};
  if (moe)
    config.update(
        {{kind == "mixtral" ? "num_local_experts" : "num_experts", 4}, {"num_experts_per_tok", 2}});
  if (kind == "qwen3moe") config.update({{"moe_intermediate_size", 16}, {"norm_topk_prob", true}});
  fill(dtype);
  const Architecture& architecture = architecture_of(kind);
  for (std::int32_t layer = -1; layer < 2; ++layer)
    for (const TensorRule& rule : layer < 0 ? model_tensors() : architecture.layer_tensors)
      for (const std::string& name : gguf.tensor_names())
        if (name == tensor_name(rule, WeightOrder::gguf, layer, 0)) translate(rule, layer, dtype);
  // GGUF's converter permutes these; what the directory has is as it was.
  if (kind == "llama" || kind == "mixtral")
    for (int layer = 0; layer < 2; ++layer) {
      permute(fmt::format("blk.{}.attn_q.weight", layer), 4);
      permute(fmt::format("blk.{}.attn_k.weight", layer), 2);
    }
}

void TinyHf::translate(const TensorRule& rule, std::int32_t layer, std::string_view dtype) {
  const TensorSpec& spec = gguf.tensor(tensor_name(rule, WeightOrder::gguf, layer, 0));
  const bool each = is_per_expert(rule, WeightOrder::hugging_face);
  std::vector<std::uint64_t> shape(spec.dims.rbegin(), spec.dims.rend());
  const std::size_t pieces = each ? shape[0] : 1;
  if (each) shape.erase(shape.begin());
  std::string data = spec.data;
  if (shape.size() == 1) {
    data.clear();
    for (std::size_t at = 0; at < spec.data.size(); at += sizeof(float)) {
      float value = 0;
      std::memcpy(&value, spec.data.data() + at, sizeof(value));
      append(data, dtype, value);
    }
  }
  const std::size_t bytes = data.size() / pieces;
  for (std::size_t i = 0; i < pieces; ++i)
    tensors[tensor_name(rule, WeightOrder::hugging_face, layer, static_cast<std::int64_t>(i))] = {
        std::string(dtype), shape, data.substr(i * bytes, bytes)};
}

void TinyHf::fill(std::string_view dtype) {
  std::mt19937 random(7);
  for (const std::string& name : gguf.tensor_names()) {
    TensorSpec& spec = gguf.tensor(name);
    std::size_t count = 1;
    for (const std::uint64_t size : spec.dims) count *= size;
    const bool vector = spec.dims.size() == 1;
    spec.type = vector ? 0 : gguf_type(dtype);
    const float centre = name.find("norm") == std::string::npos ? 0.0F : 1.0F;
    spec.data = random_numbers(count, vector ? "F32" : dtype, random, centre);
  }
}

// One after the other, of each expert the rows of all `parts`.
void TinyHf::fuse(const std::string& layer, const std::vector<std::string>& parts,
                  const std::string& name, bool transposed) {
  Tensor fused;
  std::size_t experts = 0;
  const auto part_of = [&](std::size_t expert, const std::string& part) {
    std::string found = part;
    return layer + found.replace(part.find('*'), 1, std::to_string(expert));
  };
  for (; tensors.contains(part_of(experts, parts[0])); ++experts)
    for (const std::string& part : parts) {
      const auto tensor = tensors.extract(part_of(experts, part));
      fused.dtype = tensor.mapped().dtype;
      fused.shape = tensor.mapped().shape;
      fused.data += tensor.mapped().data;
    }
  fused.shape = {experts, parts.size() * fused.shape[0], fused.shape[1]};
  if (transposed) std::swap(fused.shape[1], fused.shape[2]);
  tensors[layer + name] = fused;
}

void TinyHf::fuse_experts(bool transposed) {
  const bool mixtral = config.at("model_type") == "mixtral";
  for (int i = 0; i < 2; ++i) {
    const std::string layer = fmt::format("model.layers.{}.", i);
    const std::string old = mixtral ? "block_sparse_moe.experts.*." : "mlp.experts.*.";
    fuse(layer,
         {old + (mixtral ? "w1" : "gate_proj") + ".weight",
          old + (mixtral ? "w3" : "up_proj") + ".weight"},
         "mlp.experts.gate_up_proj", transposed);
    fuse(layer, {old + (mixtral ? "w2" : "down_proj") + ".weight"}, "mlp.experts.down_proj",
         transposed);
    if (!mixtral) continue;
    auto router = tensors.extract(layer + "block_sparse_moe.gate.weight");
    router.key() = layer + "mlp.gate.weight";
    tensors.insert(std::move(router));
  }
}

// Row j * half + i of each head goes to row 2 * i + j.
void TinyHf::permute(std::string_view name, std::size_t heads) {
  TensorSpec& spec = gguf.tensor(name);
  const std::size_t row = spec.data.size() / (heads * kHeadDim);
  const std::string from = spec.data;
  for (std::size_t head = 0; head < heads; ++head)
    for (std::size_t i = 0; i < kHeadDim / 2; ++i)
      for (std::size_t j = 0; j < 2; ++j)
        spec.data.replace((head * kHeadDim + 2 * i + j) * row, row, from,
                          (head * kHeadDim + j * kHeadDim / 2 + i) * row, row);
}

void TinyHf::write(const std::filesystem::path& folder, std::size_t shards) const {
  const auto put = [&](const std::string& name, const std::string& bytes) {
    std::ofstream(folder / name, std::ios::binary) << bytes;
  };
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    std::filesystem::remove(entry.path());
  put("config.json", config.dump());
  std::vector<SafetensorsBuilder> files(shards);
  Json map = Json::object();
  std::size_t turn = 0;
  for (const auto& [name, tensor] : tensors) {
    const std::size_t shard = turn++ % shards;
    files[shard].tensor(name, tensor.dtype, tensor.shape, tensor.data);
    map[name] = fmt::format("model-{:05}-of-{:05}.safetensors", shard + 1, shards);
  }
  if (shards == 1) return put("model.safetensors", files[0].build());
  put("model.safetensors.index.json", Json{{"weight_map", map}}.dump());
  for (std::size_t i = 0; i < shards; ++i)
    put(fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards), files[i].build());
}

}  // namespace strata::test
