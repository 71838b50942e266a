#pragma once

#include <filesystem>
#include <memory>

#include "runtime/text/tokenizer.h"

namespace strata {

/// The tokenizer of a Hugging Face directory: tokenizer.json, or tokenizer.model where there is
/// none, and tokenizer_config.json, special_tokens_map.json, generation_config.json and config.json
/// beside it. Null when there is neither of the first two. Throws Error{bad_model} or
/// Error{unsupported_model} naming file and place, Error{io} for a file that cannot be read.
std::shared_ptr<const text::Tokenizer> load_hf_tokenizer(const std::filesystem::path& directory);

}  // namespace strata
