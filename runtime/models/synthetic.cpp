#include "runtime/models/synthetic.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "runtime/core/error.h"
#include "runtime/models/architecture.h"

namespace strata {
namespace {

constexpr SyntheticShape kShapes[] = {
#define STRATA_SYNTHETIC_SHAPE(name, architecture, label, layers, dim, ffn_dim, heads, kv_heads, \
                               head_dim, vocab, context, rope_base, norm_eps, tied, llama3_rope, \
                               experts, experts_used, expert_ffn_dim)                            \
  {name,     architecture, label,       layers,  dim,          ffn_dim,                          \
   heads,    kv_heads,     head_dim,    vocab,   context,      rope_base,                        \
   norm_eps, tied,         llama3_rope, experts, experts_used, expert_ffn_dim},
#include "runtime/models/synthetic_shapes.def"
#undef STRATA_SYNTHETIC_SHAPE
};

// The numbers of llama.cpp's enum of file types (general.file_type): the type of most weights.
struct FileType {
  DType dtype;
  std::uint32_t number;
};
constexpr FileType kFileTypes[] = {
    {DType::F32, 0},     {DType::F16, 1},     {DType::Q4_0, 2},  {DType::Q4_1, 3},
    {DType::Q8_0, 7},    {DType::Q5_0, 8},    {DType::Q5_1, 9},  {DType::Q2_K, 10},
    {DType::Q3_K, 11},   {DType::Q4_K, 14},   {DType::Q5_K, 16}, {DType::Q6_K, 18},
    {DType::IQ4_NL, 25}, {DType::IQ4_XS, 30}, {DType::BF16, 32}, {DType::MXFP4, 38},
};

std::uint32_t file_type(DType dtype) {
  for (const FileType& type : kFileTypes)
    if (type.dtype == dtype) return type.number;
  throw Error(ErrorCode::usage, std::string(dtype_info(dtype).name), "is no type of weights");
}

// What llama.cpp's quantizer gives the output matrix beside layers of `type`.
DType usual_output_type(DType type) {
  if (!is_quantized(type) || type == DType::Q8_0) return type;
  return type == DType::MXFP4 ? DType::Q8_0 : DType::Q6_K;
}

ModelConfig config_of(const SyntheticShape& shape) {
  ModelConfig config;
  config.dim = shape.dim;
  config.ffn_dim = shape.ffn_dim;
  config.heads = shape.heads;
  config.kv_heads = shape.kv_heads;
  config.head_dim = shape.head_dim;
  config.vocab = shape.vocab;
  config.experts = shape.experts;
  config.experts_used = shape.experts_used;
  config.expert_ffn_dim = shape.expert_ffn_dim;
  return config;
}

const Architecture& architecture_of(const SyntheticShape& shape) {
  for (const Architecture* architecture : all_architectures())
    if (architecture->name == shape.architecture) return *architecture;
  throw Error(ErrorCode::runtime, std::string(shape.architecture), "is no known architecture");
}

void add_keys(GgufHeader& file, const SyntheticShape& shape, std::int64_t layers, DType type) {
  const auto number = [&](std::string_view key, std::int64_t value) {
    file.add(fmt::format("{}.{}", shape.architecture, key), static_cast<std::uint32_t>(value));
  };
  file.add("general.architecture", shape.architecture);
  file.add("general.name", fmt::format("{} with random weights, {} of {} layers", shape.label,
                                       layers, shape.layers));
  file.add("general.file_type", file_type(type));
  file.add("general.quantization_version", std::uint32_t{2});
  number("block_count", layers);
  number("context_length", shape.context);
  number("embedding_length", shape.dim);
  number("feed_forward_length", shape.ffn_dim);
  number("attention.head_count", shape.heads);
  number("attention.head_count_kv", shape.kv_heads);
  number("attention.key_length", shape.head_dim);
  number("attention.value_length", shape.head_dim);
  number("rope.dimension_count", shape.head_dim);
  number("vocab_size", shape.vocab);
  file.add(fmt::format("{}.attention.layer_norm_rms_epsilon", shape.architecture), shape.norm_eps);
  file.add(fmt::format("{}.rope.freq_base", shape.architecture), shape.rope_base);
  if (shape.experts > 0) {
    number("expert_count", shape.experts);
    number("expert_used_count", shape.experts_used);
    number("expert_feed_forward_length", shape.expert_ffn_dim);
  }
  file.add("tokenizer.ggml.model", "no_vocab");
}

// Wavelengths beyond the trained context are stretched, short ones kept, the rest in between
// (Llama 3.1's rope_type "llama3": factor 32, low 1, high 4, 8192 tokens).
std::vector<float> llama3_factors(const SyntheticShape& shape) {
  constexpr double kFactor = 32, kLow = 1, kHigh = 4, kContext = 8192;
  std::vector<float> factors;
  for (std::int64_t i = 0; i < shape.head_dim; i += 2) {
    const double exponent = static_cast<double>(i) / static_cast<double>(shape.head_dim);
    const double wave =
        2 * std::numbers::pi * std::pow(static_cast<double>(shape.rope_base), exponent);
    const double smooth = (kContext / wave - kLow) / (kHigh - kLow);
    const double keep = std::min(std::max(smooth, 0.0), 1.0);
    factors.push_back(static_cast<float>(1 / ((1 - keep) / kFactor + keep)));
  }
  return factors;
}

Shape tensor_shape(const TensorRule& rule, const ModelConfig& config) {
  Shape shape;
  for (Dim dim : rule.shape)
    if (dim != Dim::none) shape[shape.rank++] = size_of(dim, config);
  return shape;
}

void add_matrix(GgufHeader& file, std::string name, DType dtype, const Shape& shape) {
  const DTypeInfo& info = dtype_info(dtype);
  if (shape.columns() % info.block_elements != 0)
    throw Error(ErrorCode::usage, name,
                fmt::format("has {} columns, which are no whole blocks of {} {}", shape.columns(),
                            info.block_elements, info.name),
                "another type, or another shape");
  file.add_tensor(std::move(name), dtype, shape);
}

void add_layer(GgufHeader& file, const Architecture& architecture, const ModelConfig& config,
               std::int64_t layer, DType type) {
  for (const TensorRule& rule : architecture.layer_tensors) {
    if (!rule.required) continue;
    const Shape shape = tensor_shape(rule, config);
    // Vectors and the small router stay F32, as every converter and quantizer leaves them.
    const bool plain = shape.rank == 1 || rule.name == "ffn_gate_inp.weight";
    add_matrix(file, fmt::format("blk.{}.{}", layer, rule.name), plain ? DType::F32 : type, shape);
  }
}

}  // namespace

std::span<const SyntheticShape> synthetic_shapes() { return kShapes; }

const SyntheticShape* find_synthetic_shape(std::string_view name) {
  for (const SyntheticShape& shape : kShapes)
    if (shape.name == name) return &shape;
  return nullptr;
}

SyntheticModel plan_synthetic(const SyntheticShape& shape, const SyntheticOptions& options) {
  const std::int64_t layers = options.layers == 0 ? shape.layers : options.layers;
  if (layers < 1 || layers > shape.layers)
    throw Error(ErrorCode::usage, "--layers",
                fmt::format("is {}, but {} has {}", layers, shape.label, shape.layers),
                fmt::format("1 to {}", shape.layers));
  const ModelConfig config = config_of(shape);
  const DType output = options.output_type.value_or(usual_output_type(options.type));
  const DType embedding = options.embedding_type.value_or(shape.tied ? output : options.type);

  SyntheticModel model;
  model.seed = options.seed;
  GgufHeader& file = model.layout;
  add_keys(file, shape, layers, options.type);
  add_matrix(file, "token_embd.weight", embedding, {shape.vocab, shape.dim});
  if (shape.llama3_rope) {
    model.rope_factors = llama3_factors(shape);
    add_matrix(file, "rope_freqs.weight", DType::F32, {shape.head_dim / 2});
  }
  const Architecture& architecture = architecture_of(shape);
  for (std::int64_t layer = 0; layer < layers; ++layer)
    add_layer(file, architecture, config, layer, options.type);
  add_matrix(file, "output_norm.weight", DType::F32, {shape.dim});
  if (!shape.tied) add_matrix(file, "output.weight", output, {shape.vocab, shape.dim});
  model.head = file.finish();
  return model;
}

}  // namespace strata
