#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/dtype.h"
#include "runtime/core/tensor.h"

namespace strata {

/// The head of a GGUF v3 file: keys, tensor infos and where each tensor's bytes go. Source: GGUF
/// specification. The tensors' bytes are the caller's to write. Used by one thread.
class GgufHeader {
 public:
  struct Tensor {
    std::string name;
    DType dtype;
    Shape shape;           ///< outermost first; at least one dimension
    std::uint64_t offset;  ///< from the start of the file, once finish() was called
    std::uint64_t bytes;
  };

  void add(std::string_view key, std::string_view text);
  void add(std::string_view key, std::uint32_t number);
  void add(std::string_view key, float number);
  /// In the order of the file. Throws Error(runtime) when the columns do not fill whole blocks.
  void add_tensor(std::string name, DType dtype, const Shape& shape);

  /// Places the tensors and returns the file's first bytes, up to the first tensor. Call once.
  std::string finish();
  const std::vector<Tensor>& tensors() const { return tensors_; }
  /// The whole file, padding after the last tensor included. After finish().
  std::uint64_t file_bytes() const { return file_bytes_; }

 private:
  void add_key(std::string_view key, std::uint32_t type);

  std::string keys_;
  std::uint64_t key_count_ = 0;
  std::vector<Tensor> tensors_;
  std::uint64_t file_bytes_ = 0;
};

}  // namespace strata
