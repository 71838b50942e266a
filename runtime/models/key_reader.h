#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/models/config.h"
#include "runtime/weights/metadata.h"

namespace strata {

/// Typed access to a model's hyper-parameters by GGUF's names for them: "{architecture}.KEY" in
/// GGUF, and what hf_names.def says in a config.json. Borrows the metadata. Getters throw
/// Error{bad_model} naming the key as the file has it, the value and the limits.
class KeyReader {
 public:
  /// Throws when general.architecture is missing.
  explicit KeyReader(const Metadata& metadata, WeightOrder order = WeightOrder::gguf);

  const std::string& architecture() const { return architecture_; }
  const Metadata& metadata() const { return metadata_; }
  /// Whose arrangement of Q and K rows the weights have.
  WeightOrder order() const { return order_; }

  /// The key as this file has it, or would have it; empty for what a config.json never says.
  std::string key(std::string_view suffix) const;
  bool has(std::string_view suffix) const { return metadata_.contains(key(suffix)); }
  std::int64_t require(std::string_view suffix, std::int64_t min, std::int64_t max) const;
  std::optional<std::int64_t> find(std::string_view suffix, std::int64_t min,
                                   std::int64_t max) const;
  double number(std::string_view suffix, double fallback, double min, double max) const;
  /// The same by the key that the file has; a config.json may write it without a decimal point.
  std::optional<double> number_at(std::string_view key, double min, double max) const;
  std::optional<std::string_view> text(std::string_view suffix) const;
  /// A value that GGUF allows per layer, which must be the same in all `layers`.
  std::optional<std::int64_t> find_uniform(std::string_view suffix, std::int64_t layers,
                                           std::int64_t min, std::int64_t max) const;
  [[noreturn]] void fail(std::string_view suffix, const std::string& detail) const;

 private:
  const Metadata& metadata_;
  std::string architecture_;
  WeightOrder order_;
};

}  // namespace strata
