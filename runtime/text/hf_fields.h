#pragma once

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace strata::text {

/// An object of a JSON file of a Hugging Face directory, read field by field: wrong types are
/// Error{bad_model}, what Strata does not honour is Error{unsupported_model}; both name the file
/// and the place in it. Borrows the tree and the subject.
class HfFields {
 public:
  /// Throws unless `json` is an object. `where`: its place, "model" or "decoder.decoders[2]";
  /// empty for the file itself.
  HfFields(const nlohmann::json& json, const std::string& subject, std::string where);

  /// Null when the field is absent or null.
  const nlohmann::json* find(std::string_view key) const;
  std::optional<std::string> text(std::string_view key) const;
  std::string require_text(std::string_view key) const;
  std::optional<bool> flag(std::string_view key) const;
  std::optional<std::int64_t> integer(std::string_view key) const;
  /// The list, or null when it is absent.
  const nlohmann::json* list(std::string_view key) const;
  HfFields object(std::string_view key) const;

  /// Throws Error{unsupported_model} for a field that is not in `known`.
  void only(std::initializer_list<std::string_view> known) const;
  /// Throws Error{unsupported_model}: "WHERE: DETAIL".
  [[noreturn]] void unsupported(std::string_view detail) const;
  /// Throws Error{bad_model} likewise.
  [[noreturn]] void bad(std::string_view detail) const;

  const std::string& subject() const { return subject_; }
  /// The place of a field of this object.
  std::string place(std::string_view key) const;

 private:
  const nlohmann::json& json_;
  const std::string& subject_;
  std::string where_;
};

}  // namespace strata::text
