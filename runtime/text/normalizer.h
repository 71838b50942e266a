#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace strata::text {

/// One step of a tokenizer.json's normalizer.
struct NormalizerStep {
  enum class Kind : std::uint8_t { prepend, replace, nfc, nfd, nfkc, nfkd };
  Kind kind;
  std::string text;  ///< what is put in front, or in place
  std::string from;  ///< what is replaced, not empty
};

/// Throws Error{bad_model} when a text of `before` bytes has become `after` bytes, more than any
/// honest model makes of it: 32 times as many, and 1 KiB.
void check_growth(std::size_t before, std::size_t after);

/// Changes texts before tokens are looked for. Immutable, safe from any thread.
class Normalizer {
 public:
  explicit Normalizer(std::vector<NormalizerStep> steps = {}) : steps_(std::move(steps)) {}

  bool empty() const { return steps_.empty(); }

  /// `text`, well-formed UTF-8, after every step. Throws Error{runtime} where the Unicode tables
  /// refuse it, Error{bad_model} as check_growth().
  std::string apply(std::string_view text) const;

 private:
  std::vector<NormalizerStep> steps_;
};

}  // namespace strata::text
