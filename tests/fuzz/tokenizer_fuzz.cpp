// Bytes become a small vocabulary and a text; whatever they are, only strata::Error may be thrown,
// every id lies in the vocabulary, and a byte-level vocabulary gives valid text back unchanged.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "runtime/core/byte_reader.h"
#include "runtime/core/error.h"
#include "runtime/text/byte_alphabet.h"
#include "runtime/text/detokenizer.h"
#include "runtime/text/pretokenizer.h"
#include "runtime/text/tokenizer.h"
#include "runtime/text/utf8.h"

namespace {

using namespace strata::text;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "tokenizer_fuzz: %s\n", what);
  std::abort();
}

struct Case {
  VocabularyData data;
  std::string text;
  bool byte_level = false;   // has the whole byte alphabet
  bool prints_back = false;  // and no token that prints otherwise than it is spelled
};

// Reads past the end as zeros, so that every input is a case.
class Input {
 public:
  explicit Input(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::uint8_t byte() { return bytes_.read<std::uint8_t>().value_or(0); }
  std::string text(std::size_t limit) {
    const std::size_t length = std::min(limit, bytes_.remaining());
    return std::string(*bytes_.read_text(length));
  }

 private:
  strata::ByteReader bytes_;
};

bool is_plain(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

void read_tokens(Input& input, Case& result) {
  VocabularyData& data = result.data;
  result.prints_back = true;
  for (int count = input.byte() % 48; count > 0; --count) {
    const int type = input.byte() % 10;  // 0 and 7 to 9 are none
    data.types.push_back(type);
    data.scores.push_back(static_cast<float>(static_cast<std::int8_t>(input.byte())));
    const std::uint8_t length = input.byte();
    data.tokens.push_back(input.text(length % 16));
    const bool special = type == 3 || type == 4;
    result.prints_back &= type == 1 || (special && is_plain(data.tokens.back()));
  }
}

void add_bytes(VocabularyData& data, bool alphabet) {
  for (int byte = 0; byte < 256; ++byte) {
    const char hex[] = "0123456789ABCDEF";
    const std::string one(1, static_cast<char>(byte));
    data.tokens.push_back(alphabet ? to_byte_alphabet(one)
                                   : std::string("<0x") + hex[byte / 16] + hex[byte % 16] + ">");
    data.types.push_back(alphabet ? 1 : 6);
    data.scores.push_back(0);
  }
}

// model, names, flags, ids, tokens, merges, text: see the seeds.
Case read_case(std::span<const std::byte> bytes) {
  Input input(bytes);
  Case result;
  VocabularyData& data = result.data;
  static constexpr const char* kModels[] = {"gpt2", "llama", "gemma4", "bert"};
  data.model = kModels[input.byte() % 4];
  const auto names = pretokenizer_names();
  const std::size_t pre = input.byte();
  data.pre = pre < names.size() ? std::string(names[pre]) : pre % 2 ? "" : "nonesuch";
  const std::uint8_t flags = input.byte();
  if (flags & 1) data.add_bos = (flags & 2) != 0;
  if (flags & 4) data.add_eos = (flags & 8) != 0;
  if (flags & 16) data.add_space_prefix = (flags & 32) != 0;
  if (flags & 64) add_bytes(data, data.model == "gpt2");
  result.byte_level = (flags & 64) && data.model == "gpt2";
  for (std::optional<std::int64_t>* id : {&data.bos, &data.eos, &data.unknown}) {
    const auto value = static_cast<std::int8_t>(input.byte());
    if (value != 0) *id = value;
  }
  read_tokens(input, result);
  for (int count = input.byte() % 48; count > 0; --count) {
    const std::uint8_t length = input.byte();
    data.merges.push_back(input.text(length % 24));
  }
  if (flags & 128) data.types.clear();
  result.prints_back &= result.byte_level && !(flags & 128);
  result.text = input.text(4096);
  return result;
}

void check_text(const std::shared_ptr<const Tokenizer>& tokenizer, const Case& example,
                EncodeOptions options) {
  const std::vector<TokenId> ids = tokenizer->encode(example.text, options);
  require(ids.size() <= 4 * example.text.size() + 8, "more ids than bytes can give");
  Detokenizer detokenizer(tokenizer, {.show_control = true});
  std::string text;
  for (const TokenId id : ids) {
    require(tokenizer->vocabulary().contains(id), "an id outside the vocabulary");
    const std::string part = detokenizer.push(id);
    require(is_utf8(part), "a part that is not UTF-8");
    text += part;
  }
  text += detokenizer.finish();
  require(text == decode(tokenizer, ids, {.show_control = true}), "streaming differs");
  if (!options.add_special && example.prints_back && is_utf8(example.text)) {
    require(text == example.text, "the text does not come back");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Case example = read_case(std::as_bytes(std::span(data, size)));
  try {
    const auto tokenizer = Tokenizer::create(std::move(example.data));
    for (const bool add : {false, true}) {
      for (const bool parse : {false, true}) check_text(tokenizer, example, {add, parse});
    }
  } catch (const strata::Error& error) {
    require(!error.subject().empty() && !error.detail().empty(), "an error that says nothing");
  }
  return 0;
}
