#pragma once

#include "runtime/text/hf_fields.h"
#include "runtime/text/text_rules.h"

namespace strata::text {

/// Read one description of a tokenizer.json into `rules`; `file` is the file's object. What Strata
/// does not do exactly as Hugging Face's tokenizers is an Error{unsupported_model} that names it.
void read_hf_normalizer(const HfFields& file, TextRules& rules);
void read_hf_pre_tokenizer(const HfFields& file, TextRules& rules);
/// After the two above, which say how tokens are spelled.
void read_hf_decoder(const HfFields& file, TextRules& rules);
/// A token of added_tokens or added_tokens_decoder, which has `id`.
AddedToken read_hf_added_token(const HfFields& fields, TokenId id);
/// The ids may lie anywhere: the caller knows the vocabulary.
void read_hf_post_processor(const HfFields& file, TextRules& rules);

}  // namespace strata::text
