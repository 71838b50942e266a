#pragma once

#include <nlohmann/json.hpp>

namespace strata::text::test {

/// A byte-level tokenizer.json that is accepted, for tests to spoil: 256 bytes, six merges (ids to
/// 261), and the added tokens "<|begin|>" 262 (special), "<|im_end|>" 263 (special), "<sep>" 264.
nlohmann::ordered_json tiny_tokenizer_json();

}  // namespace strata::text::test
