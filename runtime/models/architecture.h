#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "runtime/graph/builder.h"
#include "runtime/models/config.h"

namespace strata {

class KeyReader;

/// A dimension of a weight, named, so that tensor tables read like the paper.
enum class Dim : std::uint8_t {
  none,
  dim,
  q_width,
  kv_width,
  head_dim,
  ffn_dim,
  experts,
  expert_ffn_dim,
  vocab
};
std::int64_t size_of(Dim dim, const ModelConfig& config);

/// How a weight is cut across the ranks of a tensor-parallel group.
enum class Split : std::uint8_t {
  none,  ///< every rank has all of it
  rows,  ///< each rank has its share of the outputs
  cols,  ///< each rank has its share of the inputs; partial sums are reduced
};

/// Where transformers 5 keeps a weight whose older name it changed: a tensor of its own, or, for
/// experts, one of `parts` equal parts of each expert's rows in a tensor (experts, parts * rows,
/// columns).
struct FusedName {
  std::string_view name = {};  ///< empty: nowhere else
  std::int32_t part = 0;
  std::int32_t parts = 1;
};

/// One tensor of a layer or of the model: GGUF name and Hugging Face name (without the layer's
/// prefix), shape outermost first, split, and whether a model may lack it.
struct TensorRule {
  std::string_view name;
  std::string_view hf_name;
  std::array<Dim, 3> shape;
  Split split = Split::none;
  bool required = true;
  FusedName hf_fused = {};  ///< looked for where there is nothing of hf_name
};

/// KV pages of one layer, as values of the layer's graph.
struct KvPages {
  Value k;
  Value v;
};

/// One architecture: what its file under models/ exports. Plain data and functions.
struct Architecture {
  std::string_view name;         ///< for messages, "qwen3"
  std::string_view description;  ///< which models these are
  /// Reads the keys that only this architecture has. The common ones are read before.
  void (*configure)(const KeyReader& keys, ModelConfig& config);
  std::span<const TensorRule> layer_tensors;
  /// The layer's program in two halves, between which nothing is alive but x, so that they may be
  /// computed on two devices: x with what attention adds to it, then with what the feed-forward
  /// network does. x: (tokens, dim).
  Value (*attention)(GraphBuilder& g, const ModelConfig& c, Value x, const KvPages& kv);
  Value (*feed_forward)(GraphBuilder& g, const ModelConfig& c, Value x);
};

/// The architecture of a GGUF model with these keys. Throws Error{unsupported_model} that lists the
/// supported ones.
const Architecture& find_architecture(const KeyReader& keys);

/// Every architecture of models.def.
std::span<const Architecture* const> all_architectures();

}  // namespace strata
