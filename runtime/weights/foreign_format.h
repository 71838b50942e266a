#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

namespace strata {

/// A file that is not what was asked for, recognised by its first bytes.
struct ForeignFormat {
  std::string what;  ///< "is an HTML page, not a model"
  std::string hint;
};

/// Looks at the first bytes of a file that does not begin with GGUF's magic. Empty when they tell
/// nothing.
std::optional<ForeignFormat> recognise_foreign_format(std::span<const std::byte> file);

}  // namespace strata
