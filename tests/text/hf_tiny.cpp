#include "tests/text/hf_tiny.h"

#include "runtime/text/byte_alphabet.h"

namespace strata::text::test {

nlohmann::ordered_json tiny_tokenizer_json() {
  using Json = nlohmann::ordered_json;
  Json json = Json::parse(R"({"version":"1.0","truncation":null,"padding":null,"normalizer":null,
    "pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,
                     "use_regex":true},
    "post_processor":{"type":"ByteLevel"},"decoder":{"type":"ByteLevel"},
    "model":{"type":"BPE","dropout":null,"unk_token":null,"continuing_subword_prefix":null,
             "end_of_word_suffix":null,"fuse_unk":false,"byte_fallback":false,
             "ignore_merges":false,"vocab":{},"merges":[]}})");
  Json& vocab = json["model"]["vocab"];
  for (int byte = 0; byte < 256; ++byte) {
    vocab[to_byte_alphabet(std::string(1, static_cast<char>(byte)))] = byte;
  }
  const std::pair<const char*, const char*> kMerges[] = {
      {"h", "e"}, {"l", "l"}, {"he", "ll"}, {"hell", "o"}, {"Ġ", "hello"}, {"1", "2"}};
  int id = 256;
  for (const auto& [left, right] : kMerges) {
    vocab[std::string(left) + right] = id++;
    json["model"]["merges"].push_back({left, right});
  }
  for (const char* text : {"<|begin|>", "<|im_end|>", "<sep>"}) {
    const bool special = std::string_view(text) != "<sep>";
    json["added_tokens"].push_back({{"id", id++},
                                    {"content", text},
                                    {"single_word", false},
                                    {"lstrip", false},
                                    {"rstrip", false},
                                    {"normalized", false},
                                    {"special", special}});
  }
  return json;
}

}  // namespace strata::text::test
