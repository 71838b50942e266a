// What the files beside a Hugging Face tokenizer change.
#include "runtime/text/hf_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/text/detokenizer.h"
#include "tests/text/hf_tiny.h"

namespace strata::text::test {
namespace {

using ::testing::ElementsAre;
using Json = nlohmann::ordered_json;

struct Directory {
  std::string json = tiny_tokenizer_json().dump();
  std::string config = "{}";
  std::string map = "{}";
  std::optional<std::string> generation = {};
  std::string model_config = "{}";

  std::shared_ptr<const Tokenizer> load() const {
    HfTexts texts{.directory = "dir"};
    texts.tokenizer_json = json;
    texts.tokenizer_config = config;
    texts.special_tokens_map = map;
    if (generation) texts.generation_config = *generation;
    texts.config = model_config;
    return Tokenizer::create(read_hf_vocabulary(texts));
  }
};

std::vector<TokenId> ends(const Tokenizer& tokenizer) {
  const auto ids = tokenizer.vocabulary().end_of_generation();
  return {ids.begin(), ids.end()};
}

TEST(HfDirectory, WithoutAWordNothingIsAdded) {
  const auto tokenizer = Directory().load();
  EXPECT_THAT(tokenizer->encode("hello"), ElementsAre(259));
  EXPECT_FALSE(tokenizer->vocabulary().add_bos());
  EXPECT_THAT(ends(*tokenizer), ElementsAre(263));  // <|im_end|> ends by its text
}

TEST(HfDirectory, AddBosAndEosTokenWinOverTheTemplate) {
  Json json = tiny_tokenizer_json();
  json["post_processor"] = Json::parse(R"({"type":"TemplateProcessing","single":[
      {"SpecialToken":{"id":"<sep>","type_id":0}},{"SpecialToken":{"id":"two","type_id":0}},
      {"Sequence":{"id":"A","type_id":0}}],"pair":[],"special_tokens":{
      "<sep>":{"id":"<sep>","ids":[264],"tokens":["<sep>"]},
      "two":{"id":"two","ids":[262,263],"tokens":["<|begin|>","<|im_end|>"]}}})");
  Directory directory{.json = json.dump()};
  EXPECT_THAT(directory.load()->encode("hello"), ElementsAre(264, 262, 263, 259));
  directory.config = R"({"add_bos_token":true,"add_eos_token":true,"bos_token":"<|begin|>",
                         "eos_token":{"content":"<|im_end|>"}})";
  EXPECT_THAT(directory.load()->encode("hello"), ElementsAre(262, 259, 263));
  EXPECT_TRUE(directory.load()->vocabulary().add_bos());
  EXPECT_TRUE(directory.load()->vocabulary().add_eos());
  directory.config = R"({"add_bos_token":false})";
  EXPECT_THAT(directory.load()->encode("hello"), ElementsAre(259));
  directory.config = R"({"add_bos_token":true,"bos_token":null})";
  EXPECT_THAT(directory.load()->encode("hello"), ElementsAre(259));
}

TEST(HfDirectory, SpecialTokensMapIsReadWhereTheConfigIsSilent) {
  Directory directory{.map = R"({"bos_token":"<|begin|>","eos_token":{"content":"<sep>"}})"};
  EXPECT_EQ(directory.load()->vocabulary().special().bos, 262);
  EXPECT_EQ(directory.load()->vocabulary().special().eos, 264);
  directory.config = R"({"bos_token":"<|im_end|>"})";
  EXPECT_EQ(directory.load()->vocabulary().special().bos, 263);
}

TEST(HfDirectory, GenerationEndsWhereTheFilesSay) {
  Directory directory{.config = R"({"eos_token":"<sep>"})"};
  EXPECT_THAT(ends(*directory.load()), ElementsAre(263, 264));
  directory.model_config = R"({"eos_token_id":[7,5]})";
  EXPECT_THAT(ends(*directory.load()), ElementsAre(5, 7, 263, 264));
  directory.generation = R"({"eos_token_id":9})";
  EXPECT_THAT(ends(*directory.load()), ElementsAre(9, 263, 264));
  directory.generation = R"({})";
  EXPECT_THAT(ends(*directory.load()), ElementsAre(263, 264));
  directory.generation = {};
  directory.model_config = R"({"text_config":{"eos_token_id":11}})";
  EXPECT_THAT(ends(*directory.load()), ElementsAre(11, 263, 264));
}

TEST(HfDirectory, AddedTokensDecoderChangesFlagsAndAddsTokens) {
  Directory directory{.config = R"({"added_tokens_decoder":{
      "264":{"content":"<sep>","lstrip":true,"rstrip":true,"special":true,"normalized":false},
      "266":{"content":"<new>","special":false,"normalized":false}}})"};
  const auto tokenizer = directory.load();
  EXPECT_EQ(tokenizer->vocabulary().size(), 267U);
  EXPECT_THAT(tokenizer->encode("1 <sep> 2<new>"), ElementsAre('1', 264, '2', 266));
  EXPECT_EQ(tokenizer->vocabulary().type(264), TokenType::control);
  EXPECT_EQ(tokenizer->vocabulary().type(265), TokenType::unused);
  EXPECT_EQ(decode(tokenizer, std::vector<TokenId>{264, 265, 266}), "<new>");
}

TEST(HfDirectory, SpecialTokensAreParsedOnlyWhereAsked) {
  const auto tokenizer = Directory().load();
  EXPECT_THAT(tokenizer->encode("<|begin|>hello<sep>"), ElementsAre(262, 259, 264));
  const auto ids = tokenizer->encode("<|begin|><sep>", {.parse_special = false});
  EXPECT_EQ(ids.size(), 10U);
  EXPECT_EQ(ids.back(), 264);
  EXPECT_EQ(decode(tokenizer, ids), "<|begin|><sep>");
}

// A special token that is only named, and only in the model's vocabulary, is looked for too.
TEST(HfDirectory, ANamedTokenOfTheVocabularyIsSpecial) {
  Directory directory{.config = R"({"pad_token":"hell"})"};
  EXPECT_THAT(directory.load()->encode("hello"), ElementsAre(258, 'o'));
  EXPECT_EQ(directory.load()->vocabulary().special().padding, 258);
}

TEST(HfDirectory, TextThatIsNotUtf8CountsAsReplacementCharacters) {
  const auto tokenizer = Directory().load();
  EXPECT_EQ(decode(tokenizer, tokenizer->encode("a\xFF"
                                                "b\xE4\xB8")),
            "a\uFFFDb\uFFFD\uFFFD");
}

}  // namespace
}  // namespace strata::text::test
