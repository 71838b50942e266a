#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "runtime/text/vocabulary.h"

namespace strata::text {

/// The files of a Hugging Face directory that say how texts become tokens: their bytes, untrusted,
/// empty where there is none, borrowed for the call.
struct HfTexts {
  std::string directory;  ///< for messages, which begin with "DIRECTORY/FILE"
  std::optional<std::string_view> tokenizer_json = {};
  std::optional<std::string_view> tokenizer_model =
      {};  ///< read only where there is no tokenizer.json
  std::optional<std::string_view> tokenizer_config = {};
  std::optional<std::string_view> special_tokens_map = {};
  std::optional<std::string_view> generation_config = {};
  std::optional<std::string_view> config = {};
};

/// The tokenizer they describe, for Tokenizer::create. tokenizer_config.json's
/// added_tokens_decoder, add_bos_token and add_eos_token win over tokenizer.json, as in
/// transformers; generation ends at eos_token and at the eos_token_id of generation_config.json, or
/// of config.json without it. Throws Error{bad_model} and Error{unsupported_model} naming file and
/// place; Error{bad_model} where there is neither tokenizer.json nor tokenizer.model.
VocabularyData read_hf_vocabulary(const HfTexts& texts);

}  // namespace strata::text
