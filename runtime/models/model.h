#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runtime/models/architecture.h"
#include "runtime/weights/model_file.h"

namespace strata {

/// The layers that share one program: same ops, and the same dtype and shape of every weight.
struct LayerKind {
  std::vector<std::int32_t> layers;
};

/// Which KV cache the layers' programs read and write.
struct KvFormat {
  DType k = DType::F16;
  DType v = DType::F16;
  std::int32_t page_tokens = 64;
};

/// The pages of one layer, with `pages` of them: (pages, kv_heads, page_tokens, head_dim).
TensorDesc kv_desc(const ModelConfig& config, DType dtype, std::int32_t page_tokens,
                   std::int64_t pages);

/// A weight where it lies: a tensor of the file, or a constant that was computed from the
/// hyper-parameters (file_tensor < 0; the bytes belong to the Model).
struct WeightOrigin {
  std::int32_t file_tensor = -1;
  TensorDesc desc;
  std::span<const std::byte> data;
};

/// A checked model: every tensor that the architecture needs is there with the shape that the
/// hyper-parameters say. Immutable, shared between threads; keeps the file mapped.
class Model {
 public:
  /// Throws Error{unsupported_model} or Error{bad_model}.
  static std::shared_ptr<const Model> load(std::shared_ptr<const ModelFile> file);

  const ModelFile& file() const { return *file_; }
  const std::shared_ptr<const ModelFile>& shared_file() const { return file_; }
  const Architecture& architecture() const { return *architecture_; }
  const ModelConfig& config() const { return config_; }
  const std::vector<LayerKind>& kinds() const { return kinds_; }
  /// "tensor NAME is not used by this architecture", for the user to see.
  const std::vector<std::string>& warnings() const { return warnings_; }

  /// A weight by its name within layer `layer` ("attn_q.weight"), or of the whole model for
  /// layer -1; empty when the model has none.
  std::optional<WeightOrigin> weight(std::int32_t layer, std::string_view name) const;

  /// The programs, for at most `tokens` tokens a step. head: tokens -> (tokens, dim). layer:
  /// (tokens, dim) -> (tokens, dim). tail: (tokens, dim) -> (wanted rows, vocab).
  Graph head(std::int64_t tokens) const;
  Graph layer(const LayerKind& kind, std::int64_t tokens, const KvFormat& kv) const;
  Graph tail(std::int64_t tokens) const;

 private:
  Model() = default;
  void check_vocabulary() const;
  void check_tensors();
  void check_tensor(std::int32_t layer, const TensorRule& rule,
                    std::unordered_map<std::string_view, bool>& used) const;
  void warn_of_leftovers(const std::unordered_map<std::string_view, bool>& used);
  void read_rope_factors();
  void group_layers();
  WeightLookup lookup(std::int32_t layer) const;

  std::shared_ptr<const ModelFile> file_;
  const Architecture* architecture_ = nullptr;
  ModelConfig config_;
  std::vector<float> inv_freq_;
  std::vector<LayerKind> kinds_;
  std::vector<std::string> warnings_;
};

}  // namespace strata
