#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/weights/gguf_builder.h"

namespace strata::test {

/// A complete tiny model of one architecture (2 layers, 32 wide, 10 tokens, zero weights), to be
/// damaged in one place and written as a GGUF file.
class TinyModel {
 public:
  /// "llama", "mixtral" (GGUF's `llama` with experts), "qwen2", "qwen3" or "qwen3moe".
  explicit TinyModel(std::string_view kind);

  /// The key's name in the file, "qwen3.block_count".
  std::string key(std::string_view suffix) const;
  TinyModel& set(std::string_view suffix, ValueType type, std::string payload);
  TinyModel& set_u32(std::string_view suffix, std::uint32_t value);
  TinyModel& set_f32(std::string_view suffix, float value);
  TinyModel& set_text(std::string_view suffix, std::string_view value);
  TinyModel& set_list(std::string_view suffix, const std::vector<std::uint32_t>& values);
  TinyModel& remove(std::string_view suffix);
  /// Number of entries in tokenizer.ggml.tokens; none unless called.
  TinyModel& tokens(std::size_t count);

  /// The tensor of that name, to change. Fails the program when there is none.
  TensorSpec& tensor(std::string_view name);
  TinyModel& remove_tensor(std::string_view name);
  TinyModel& add_tensor(std::string_view name, std::vector<std::uint64_t> dims,
                        std::uint32_t type = 0);
  const std::vector<std::string>& tensor_names() const { return names_; }

  std::string build() const;

 private:
  void add_layer(int layer, bool moe, std::string_view kind);

  struct Value {
    ValueType type;
    std::string payload;
  };
  std::string architecture_;
  std::map<std::string, Value, std::less<>> keys_;
  std::vector<TensorSpec> tensors_;
  std::vector<std::string> names_;
  std::size_t tokens_ = 0;
};

}  // namespace strata::test
