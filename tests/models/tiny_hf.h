#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "runtime/models/architecture.h"
#include "tests/models/tiny_gguf.h"

namespace strata::test {

/// The same tiny model with random weights twice: as a GGUF file, and as a Hugging Face directory
/// that can be damaged. Matrices have `type`, vectors too in the directory and F32 in GGUF, with
/// the same values.
class TinyHf {
 public:
  using Json = nlohmann::ordered_json;
  struct Tensor {
    std::string dtype;
    std::vector<std::uint64_t> shape;  ///< outermost first
    std::string data;
  };

  /// `kind` as TinyModel's; `dtype`: "F32", "F16" or "BF16".
  explicit TinyHf(std::string_view kind, std::string_view dtype = "F32");

  Json config;
  std::map<std::string, Tensor> tensors;  ///< of the directory
  TinyModel gguf;

  /// Puts each layer's experts together as transformers 5 may store them: gate and up, and down,
  /// in a tensor each, and the router under its new name. `transposed`: inputs by outputs.
  void fuse_experts(bool transposed = false);

  /// Writes config.json and the tensors, by turns into `shards` files.
  void write(const std::filesystem::path& folder, std::size_t shards = 1) const;

 private:
  void fill(std::string_view dtype);
  void translate(const TensorRule& rule, std::int32_t layer, std::string_view dtype);
  void fuse(const std::string& layer, const std::vector<std::string>& parts,
            const std::string& name, bool transposed);
  void permute(std::string_view name, std::size_t heads);
};

}  // namespace strata::test
