#include "tests/text/tiny_vocabularies.h"

#include <fmt/format.h>

#include "runtime/text/byte_alphabet.h"

namespace strata::text::test {

VocabularyData tiny_sentencepiece() {
  VocabularyData data;
  data.model = "llama";
  const auto add = [&data](std::string token, float score, TokenType type) {
    data.tokens.push_back(std::move(token));
    data.scores.push_back(score);
    data.types.push_back(static_cast<std::int32_t>(type));
  };
  add("<unk>", 0, TokenType::unknown);
  add("<s>", 0, TokenType::control);
  add("</s>", 0, TokenType::control);
  for (int byte = 0; byte < 256; ++byte) add(fmt::format("<0x{:02X}>", byte), 0, TokenType::byte);
  float score = -1;
  for (const char* piece : {"ll", "he", "hell", "hello", "▁hello", "▁", "h", "e", "l", "o", "é"}) {
    add(piece, score--, TokenType::normal);
  }
  add("<sep>", 0, TokenType::user_defined);
  add("<|im_end|>", 0, TokenType::control);
  add("el", -20, TokenType::normal);
  return data;
}

VocabularyData tiny_bpe() {
  VocabularyData data;
  data.model = "gpt2";
  data.pre = "gpt-2";
  for (int byte = 0; byte < 256; ++byte) {
    data.tokens.push_back(to_byte_alphabet(std::string(1, static_cast<char>(byte))));
  }
  data.merges = {"h e", "l l", "he ll", "hell o", "Ġ hello", "1 2"};
  for (const std::string& merge : data.merges) {
    const auto space = merge.find(' ');
    data.tokens.push_back(merge.substr(0, space) + merge.substr(space + 1));
  }
  data.types.assign(data.tokens.size(), static_cast<std::int32_t>(TokenType::normal));
  for (const char* token : {"<|begin|>", "<|im_end|>", "<sep>"}) {
    const bool user = std::string_view(token) == "<sep>";
    data.tokens.emplace_back(token);
    data.types.push_back(
        static_cast<std::int32_t>(user ? TokenType::user_defined : TokenType::control));
  }
  data.bos = 262;
  data.eos = 263;
  return data;
}

}  // namespace strata::text::test
