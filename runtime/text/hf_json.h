#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace strata::text {

/// The lists of a tokenizer.json that are too long for a tree: model.vocab and model.merges.
struct HfTables {
  std::vector<std::pair<std::string, std::int64_t>> vocab;
  std::vector<std::pair<std::string, std::string>> merges;
  bool has_vocab = false;
  bool has_merges = false;
};

/// Parses a JSON file of a Hugging Face directory, as untrusted bytes: at most 256 MiB, 64 levels,
/// 2^20 values in the tree, no key twice in an object. Throws Error{bad_model} with `subject` and
/// the place. With `tables`, model.vocab and model.merges go there and not into the tree, at most
/// 2^22 and 2^23 of them; a model.vocab that is a list, as Unigram models have it, is an
/// Error{unsupported_model}.
nlohmann::json parse_hf_json(std::string_view text, const std::string& subject,
                             HfTables* tables = nullptr);

}  // namespace strata::text
