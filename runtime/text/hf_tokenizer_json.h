#pragma once

#include <string>
#include <string_view>

#include "runtime/text/vocabulary.h"

namespace strata::text {

/// The tokenizer of a Hugging Face tokenizer.json (untrusted bytes): `tokens`, `types`, `unknown`
/// and `rules` of the result. BPE on bytes (ByteLevel) and on UTF-8 characters. Throws
/// Error{bad_model} where the file contradicts itself and Error{unsupported_model} for what Strata
/// does not do exactly as Hugging Face's tokenizers; both name `subject` and the place.
VocabularyData read_hf_tokenizer_json(std::string_view text, const std::string& subject);

}  // namespace strata::text
