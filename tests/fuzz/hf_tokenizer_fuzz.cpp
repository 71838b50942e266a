// Bytes become one of the files of a Hugging Face directory; whatever they are, only strata::Error
// may be thrown, and a tokenizer that is accepted gives ids of its vocabulary and UTF-8 texts.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "runtime/core/error.h"
#include "runtime/text/detokenizer.h"
#include "runtime/text/hf_directory.h"
#include "runtime/text/utf8.h"

namespace {

using namespace strata::text;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "hf_tokenizer_fuzz: %s\n", what);
  std::abort();
}

constexpr std::string_view kTiny = R"({"added_tokens":[{"id":4,"content":"<s>","special":true}],
  "normalizer":null,"pre_tokenizer":{"type":"Metaspace","split":false},
  "decoder":{"type":"Metaspace"},"model":{"type":"BPE","unk_token":"?",
  "vocab":{"?":0,"a":1,"b":2,"ab":3},"merges":["a b"]}})";

// The first byte says which file the others are; kTiny stands for a tokenizer.json that is not.
HfTexts directory_of(std::string_view bytes) {
  HfTexts texts{.directory = "fuzz"};
  const char which = bytes.empty() ? 'j' : bytes.front();
  if (!bytes.empty()) bytes.remove_prefix(1);
  if (which == 'm') {
    texts.tokenizer_model = bytes;
    return texts;
  }
  texts.tokenizer_json = which == 'j' ? bytes : kTiny;
  if (which == 'c') texts.tokenizer_config = bytes;
  if (which == 's') texts.special_tokens_map = bytes;
  if (which == 'g') texts.generation_config = bytes;
  if (which == 'o') texts.config = bytes;
  return texts;
}

void check_text(const std::shared_ptr<const Tokenizer>& tokenizer, std::string_view text,
                EncodeOptions options) {
  const std::vector<TokenId> ids = tokenizer->encode(text, options);
  Detokenizer detokenizer(tokenizer, {.show_control = true});
  std::string back;
  for (const TokenId id : ids) {
    require(tokenizer->vocabulary().contains(id), "an id outside the vocabulary");
    const std::string part = detokenizer.push(id);
    require(is_utf8(part), "a part that is not UTF-8");
    back += part;
  }
  back += detokenizer.finish();
  require(back == decode(tokenizer, ids, {.show_control = true}), "streaming differs");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    const auto tokenizer = Tokenizer::create(read_hf_vocabulary(directory_of(bytes)));
    const std::string_view tail = bytes.substr(bytes.size() - std::min<std::size_t>(size, 256));
    for (const std::string_view text :
         {std::string_view("hello <s> 123  a\u0301 \u65E5\u672C\n\n ab<s>"), tail}) {
      for (const bool add : {false, true}) {
        for (const bool parse : {false, true}) check_text(tokenizer, text, {add, parse});
      }
    }
  } catch (const strata::Error& error) {
    require(!error.subject().empty() && !error.detail().empty(), "an error that says nothing");
  }
  return 0;
}
