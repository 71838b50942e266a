#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "runtime/text/vocabulary.h"

namespace strata::text {

/// The tokenizer of a SentencePiece model file (tokenizer.model, untrusted bytes): `tokens`,
/// `scores`, `types`, the special ids and `rules` of the result. BPE models only. Throws
/// Error{bad_model} where the file is damaged and Error{unsupported_model} for what Strata does not
/// do as SentencePiece; both name `subject`.
VocabularyData read_sentencepiece_model(std::span<const std::byte> bytes,
                                        const std::string& subject);

}  // namespace strata::text
