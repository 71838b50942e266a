#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "runtime/models/architecture.h"
#include "runtime/weights/model_file.h"

namespace strata {

/// The layers that share one program: same ops, and the same dtype and shape of every weight.
struct LayerKind {
  std::vector<std::int32_t> layers;
};

/// All of a layer's program, or one of its halves.
enum class LayerPart : std::uint8_t {
  whole,
  attention,     ///< with its norm and the KV cache
  feed_forward,  ///< with its norm and, in a mixture, the router
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

/// A weight where it lies: a tensor of the file; or one for each expert, or a part of each expert's
/// rows in one tensor, as Hugging Face files have them; or numbers that the Model keeps
/// (file_tensor < 0), computed from the hyper-parameters or widened to F32.
struct WeightOrigin {
  std::int32_t file_tensor = -1;  ///< the first of several
  TensorDesc desc;
  /// All bytes of a weight that lies in one piece; else empty.
  std::span<const std::byte> data;
  /// Of a weight in several pieces, each entry of the outermost dimension, in order.
  std::vector<std::span<const std::byte>> matrices = {};

  bool in_pieces() const { return !matrices.empty(); }
  std::uint64_t bytes() const { return byte_size(desc); }
  /// Where it begins in memory: tells weights apart.
  const std::byte* first_byte() const {
    return in_pieces() ? matrices.front().data() : data.data();
  }
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
  /// (tokens, dim) -> (tokens, dim), with no state for the feed-forward half alone. tail: (tokens,
  /// dim) -> (wanted rows, vocab).
  Graph head(std::int64_t tokens) const;
  Graph layer(const LayerKind& kind, std::int64_t tokens, const KvFormat& kv,
              LayerPart part = LayerPart::whole) const;
  Graph tail(std::int64_t tokens) const;

 private:
  Model() = default;
  using UsedTensors = std::unordered_set<std::string_view>;

  const TensorRule* rule_of(std::int32_t layer, std::string_view name) const;
  std::string name_of(std::int32_t layer, const TensorRule& rule, std::int64_t expert) const;
  std::vector<const TensorInfo*> tensors_of(std::int32_t layer, const TensorRule& rule) const;
  const TensorInfo* fused_tensor_of(std::int32_t layer, const TensorRule& rule) const;
  WeightOrigin fused_origin(const TensorInfo& tensor, const TensorRule& rule) const;
  bool is_left_out(const TensorRule& rule) const;

  void read_vocabulary(const KeyReader& keys);
  void check_tensors(const KeyReader& keys);
  void check_weight(const KeyReader& keys, std::int32_t layer, const TensorRule& rule,
                    UsedTensors& used);
  void check_tensor(const TensorInfo& tensor, const Shape& expected);
  void check_fused(const TensorInfo& tensor, const TensorRule& rule);
  void widen(const TensorInfo& vector);
  void warn_of_leftovers(const UsedTensors& used);
  void read_rope_factors();
  void group_layers();
  WeightLookup lookup(std::int32_t layer) const;

  std::shared_ptr<const ModelFile> file_;
  const Architecture* architecture_ = nullptr;
  ModelConfig config_;
  WeightOrder order_ = WeightOrder::gguf;
  bool tied_ = false;  ///< the file says so: an output matrix that it has all the same is not used
  std::vector<float> inv_freq_;
  std::unordered_map<std::string_view, std::vector<float>> widened_;  ///< vectors, by tensor name
  std::vector<LayerKind> kinds_;
  std::vector<std::string> warnings_;
};

}  // namespace strata
