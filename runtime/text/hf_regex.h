#pragma once

#include <string>
#include <string_view>

namespace strata::text {

/// Writes a pattern of a tokenizer.json, which is Oniguruma's (Ruby) syntax, as the PCRE2 pattern
/// with the same matches, for Regex. Throws Error{unsupported_model} with `subject` for whatever
/// the two read differently and Strata does not translate: it names the construct and its place.
/// Whether PCRE2 accepts the rest is for Regex to say.
std::string translate_hf_regex(std::string_view pattern, const std::string& subject);

/// The pattern that matches exactly `text`.
std::string literal_pattern(std::string_view text);

}  // namespace strata::text
