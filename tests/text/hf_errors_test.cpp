// Damaged, hostile and unsupported files of a Hugging Face directory: each is a typed error that
// names the file and the place.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "runtime/core/error.h"
#include "runtime/text/detokenizer.h"
#include "runtime/text/hf_directory.h"
#include "tests/text/hf_tiny.h"

namespace strata::text::test {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

struct Hostile {
  const char* name;
  std::function<void(Json&)> change;
  const char* detail;
  ErrorCode code = ErrorCode::unsupported_model;
};

constexpr ErrorCode kBad = ErrorCode::bad_model;

void expect_error(const HfTexts& texts, std::string_view file, std::string_view detail,
                  ErrorCode code) {
  try {
    Tokenizer::create(read_hf_vocabulary(texts));
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_EQ(error.subject(), fmt::format("dir/{}", file));
    EXPECT_THAT(error.detail(), HasSubstr(std::string(detail)));
  }
}

void set_step(Json& json, const char* key, const char* text) { json[key] = Json::parse(text); }

const Hostile kHostile[] = {
    {"WordPiece", [](Json& j) { j["model"]["type"] = "WordPiece"; }, "model: type \"WordPiece\""},
    {"no type", [](Json& j) { j["model"].erase("merges"); }, "merges is missing", kBad},
    {"Unigram", [](Json& j) { j["model"]["vocab"] = Json::parse(R"([["a",0.5]])"); }, "Unigram"},
    {"dropout", [](Json& j) { j["model"]["dropout"] = 0.1; }, "dropout"},
    {"prefix", [](Json& j) { j["model"]["continuing_subword_prefix"] = "##"; }, "continuing"},
    {"suffix", [](Json& j) { j["model"]["end_of_word_suffix"] = "</w>"; }, "end_of_word_suffix"},
    {"new key", [](Json& j) { j["model"]["new_thing"] = 1; }, "model: \"new_thing\""},
    {"new top key", [](Json& j) { j["extra"] = 1; }, "\"extra\" is not known"},
    {"no vocab", [](Json& j) { j["model"].erase("vocab"); }, "vocab is missing", kBad},
    {"empty vocab", [](Json& j) { j["model"]["vocab"] = Json::object(); }, "vocab is missing",
     kBad},
    {"vocab of text", [](Json& j) { j["model"]["vocab"]["x"] = "y"; }, "model.vocab", kBad},
    {"vocab of objects", [](Json& j) { j["model"]["vocab"]["x"] = Json::object(); }, "object",
     kBad},
    {"vocab of floats", [](Json& j) { j["model"]["vocab"]["x"] = 1.5; }, "wrong type", kBad},
    {"id -1", [](Json& j) { j["model"]["vocab"]["h"] = -1; }, "\"h\" has id -1", kBad},
    {"id 2^40", [](Json& j) { j["model"]["vocab"]["h"] = 1ULL << 40; }, "id 1099511627776", kBad},
    {"id 2^64-1", [](Json& j) { j["model"]["vocab"]["h"] = ~0ULL; }, "has id 92233", kBad},
    {"same id", [](Json& j) { j["model"]["vocab"]["h"] = 3; }, "same id 3", kBad},
    {"merge of one", [](Json& j) { j["model"]["merges"][0] = {"h"}; }, "merge 0", kBad},
    {"merge of three", [](Json& j) { j["model"]["merges"][0] = {"h", "e", "y"}; }, "merge 0", kBad},
    {"merge text", [](Json& j) { j["model"]["merges"][1] = "he"; }, "merge 1 (\"he\")", kBad},
    {"merge of numbers", [](Json& j) { j["model"]["merges"][0] = 5; }, "model.merges", kBad},
    {"merge of nothing", [](Json& j) { j["model"]["merges"] = Json::parse(R"([["q","zz"]])"); },
     "\"zz\" is not", kBad},
    {"merge to nothing", [](Json& j) { j["model"]["merges"] = Json::parse(R"([["q","q"]])"); },
     "\"qq\" is not", kBad},
    {"unk", [](Json& j) { j["model"]["unk_token"] = "nonesuch"; }, "\"nonesuch\"", kBad},
    {"flag", [](Json& j) { j["model"]["ignore_merges"] = 1; }, "ignore_merges is a number", kBad},
    {"lowercase", [](Json& j) { set_step(j, "normalizer", R"({"type":"Lowercase"})"); },
     "normalizer: type \"Lowercase\""},
    {"regex replace",
     [](Json& j) {
       set_step(j, "normalizer", R"({"type":"Replace","pattern":{"Regex":"a"},"content":""})");
     },
     "Regex"},
    {"replace nothing",
     [](Json& j) {
       set_step(j, "normalizer", R"({"type":"Replace","pattern":{"String":""},"content":"x"})");
     },
     "empty", kBad},
    {"nested",
     [](Json& j) {
       set_step(j, "normalizer",
                R"({"type":"Sequence","normalizers":[{"type":"Sequence","normalizers":[]}]})");
     },
     "normalizer.normalizers[0]: type \"Sequence\""},
    {"whitespace", [](Json& j) { set_step(j, "pre_tokenizer", R"({"type":"Whitespace"})"); },
     "pre_tokenizer: type \"Whitespace\""},
    {"removed",
     [](Json& j) {
       set_step(j, "pre_tokenizer",
                R"({"type":"Split","pattern":{"String":"a"},"behavior":"Removed","invert":false})");
     },
     "\"Removed\""},
    {"no decoder", [](Json& j) { j["decoder"] = nullptr; }, "decoder"},
    {"other decoder", [](Json& j) { set_step(j, "decoder", R"({"type":"WordPiece"})"); },
     "decoder: type \"WordPiece\""},
    {"roberta", [](Json& j) { set_step(j, "post_processor", R"({"type":"RobertaProcessing"})"); },
     "post_processor: type \"RobertaProcessing\""},
    {"template without text",
     [](Json& j) { set_step(j, "post_processor", R"({"type":"TemplateProcessing","single":[]})"); },
     "single", kBad},
    {"template of a stranger",
     [](Json& j) {
       set_step(j, "post_processor",
                R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<x>"}},
                    {"Sequence":{"id":"A"}}],"special_tokens":{"<x>":{"ids":[999999]}}})");
     },
     "token 999999", kBad},
    {"added without content", [](Json& j) { j["added_tokens"][0].erase("content"); },
     "added_tokens[0]: content is missing", kBad},
    {"added id", [](Json& j) { j["added_tokens"][0]["id"] = 1 << 30; }, "added_tokens[0]", kBad},
    {"added twice", [](Json& j) { j["added_tokens"][1] = j["added_tokens"][0]; }, "id 262", kBad},
    {"added text twice",
     [](Json& j) { j["added_tokens"][1]["content"] = j["added_tokens"][0]["content"]; },
     "stands twice", kBad},
    {"added other id", [](Json& j) { j["added_tokens"][0]["content"] = "h"; }, "\"h\" has id 262",
     kBad},
    {"long added", [](Json& j) { j["added_tokens"][0]["content"] = std::string(2000, 'x'); },
     "2000 bytes", kBad},
    {"list for a model", [](Json& j) { j["model"] = Json::array(); }, "model", kBad},
};

TEST(HfErrors, EveryHostileTokenizerJsonIsATypedErrorThatNamesThePlace) {
  for (const Hostile& hostile : kHostile) {
    SCOPED_TRACE(hostile.name);
    Json json = tiny_tokenizer_json();
    hostile.change(json);
    const std::string text = json.dump();
    HfTexts texts{.directory = "dir"};
    texts.tokenizer_json = text;
    expect_error(texts, "tokenizer.json", hostile.detail, hostile.code);
  }
}

// Ruby's patterns that PCRE2 would read otherwise.
TEST(HfErrors, PatternsThatAreNotTranslatedAreNamed) {
  for (const char* pattern : {R"(\h+)",          R"(\R)",          R"(\bx)",
                              R"(\Gx)",          R"([[:alpha:]])", R"([a-z&&[aeiou]])",
                              R"(a{1,2}+)",      R"((?<n>a))",     R"((?m).)",
                              R"((?R))",         R"((*ACCEPT))",   R"(a\)",
                              R"(\p{Nonesuch})", R"(\pL)",         R"((a)",
                              R"([a)",           R"([]a])",        R"(\xE9)",
                              R"(\x{}a)",        R"(\u12)",        R"(a(?i)b)",
                              R"(a**)",          R"([\W])",        R"((a)\1)"}) {
    SCOPED_TRACE(pattern);
    Json json = tiny_tokenizer_json();
    const Json split = {{"type", "Split"},
                        {"pattern", {{"Regex", pattern}}},
                        {"behavior", "Isolated"},
                        {"invert", false}};
    const Json bytes = json["pre_tokenizer"];  // without it the decoder would be refused
    json["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", Json::array({split, bytes})}};
    const std::string text = json.dump();
    HfTexts texts{.directory = "dir"};
    texts.tokenizer_json = text;
    expect_error(texts, "tokenizer.json", "", ErrorCode::unsupported_model);
  }
}

TEST(HfErrors, WhatIsNotJsonIsATypedError) {
  const std::string good = tiny_tokenizer_json().dump();
  const std::string deep = std::string(100, '[');
  const std::string deeper = R"({"a":)" + std::string(1'000'000, '[');
  std::string many = R"({"a":[)";
  for (int i = 0; i < 1'100'000; ++i) many += "0,";
  for (const std::string& text :
       {std::string(), std::string("[]"), std::string("{"), good.substr(0, good.size() / 2),
        good + "x", std::string("{\"a\":\"\xC3(\"}"), std::string(R"({"a":"\ud800"})"),
        std::string(R"({"a":1,"a":1})"), std::string(R"({"model":{"vocab":{},"vocab":{}}})"),
        std::string(R"({"model":{"merges":[],"merges":[]}})"), deep, deeper, many,
        std::string(R"({"a":1e999})"), std::string("\0\0\0", 3)}) {
    SCOPED_TRACE(text.substr(0, 40));
    HfTexts texts{.directory = "dir"};
    texts.tokenizer_json = text;
    expect_error(texts, "tokenizer.json", "", kBad);
  }
}

struct Beside {
  const char* file;
  const char* text;
  const char* detail;
  ErrorCode code = kBad;
};

TEST(HfErrors, FilesBesideTheTokenizerAreCheckedToo) {
  const std::string json = tiny_tokenizer_json().dump();
  static constexpr const char* kConfig = "tokenizer_config.json";
  static constexpr const char* kGeneration = "generation_config.json";
  for (const Beside& beside : {
           Beside{kConfig, "[]", "not a JSON object"},
           Beside{kConfig, R"({"add_bos_token":1})", "add_bos_token"},
           Beside{kConfig, R"({"bos_token":5})", "bos_token"},
           Beside{kConfig, R"({"bos_token":{"x":1}})", "content is missing"},
           Beside{kConfig, R"({"added_tokens_decoder":{"x":{}}})", "\"x\" is not a token id"},
           Beside{kConfig, R"({"added_tokens_decoder":{"-1":{}}})", "\"-1\""},
           Beside{kConfig, R"({"added_tokens_decoder":{"99999999999999999999":{}}})", "9999"},
           Beside{kConfig, R"({"added_tokens_decoder":{"99999":{"content":"x"}}})", "265 tokens"},
           Beside{kConfig, R"({"added_tokens_decoder":{"3":{"content":"x"}}})",
                  "in the vocabulary"},
           Beside{kConfig, R"({"split_special_tokens":true})", "split_special_tokens",
                  ErrorCode::unsupported_model},
           Beside{"special_tokens_map.json", R"({"eos_token":[]})", "eos_token"},
           Beside{kGeneration, R"({"eos_token_id":265})", "265"},
           Beside{kGeneration, R"({"eos_token_id":-1})", "-1"},
           Beside{kGeneration, R"({"eos_token_id":[1,"x"]})", "\"x\""},
           Beside{"config.json", R"({"eos_token_id":1.5})", "1.5"},
       }) {
    SCOPED_TRACE(beside.text);
    HfTexts texts{.directory = "dir"};
    texts.tokenizer_json = json;
    const std::string_view file = beside.file;
    if (file == kConfig) texts.tokenizer_config = beside.text;
    if (file == kGeneration) texts.generation_config = beside.text;
    if (file == "special_tokens_map.json") texts.special_tokens_map = beside.text;
    if (file == "config.json") texts.config = beside.text;
    expect_error(texts, file, beside.detail, beside.code);
  }
}

// One piece of a SentencePiece model: text, score 0, type.
std::string piece(std::string_view text, int type) {
  const std::string inner =
      fmt::format("\x0A{}{}\x18{}", static_cast<char>(text.size()), text, static_cast<char>(type));
  return fmt::format("\x0A{}{}", static_cast<char>(inner.size()), inner);
}

TEST(HfErrors, EveryHostileTokenizerModelIsATypedError) {
  using std::string_literals::operator""s;
  const std::string pieces = piece("<unk>", 2) + piece("<s>", 3) + piece("</s>", 3);
  const std::string bpe = "\x12\x02\x18\x02"s;
  const struct {
    std::string bytes;
    const char* detail;
    ErrorCode code = kBad;
  } kModels[] = {
      {"", "no pieces"},
      {bpe, "no pieces"},
      {pieces, "Unigram", ErrorCode::unsupported_model},
      {pieces + "\x12\x02\x18\x03"s, "word", ErrorCode::unsupported_model},
      {pieces + "\x12\x02\x18\x63"s, "type 99", ErrorCode::unsupported_model},
      {pieces + bpe + piece("<s>", 1), "stands twice"},
      {pieces + bpe + piece("", 1), "is empty"},
      {pieces + bpe + piece("x", 7), "type 7"},
      {pieces + bpe + piece("x", 0), "type 0"},
      {pieces + bpe + piece("x", 6), "<0xHH>"},
      {pieces + bpe + piece("\xC3(", 1), "not UTF-8"},
      {pieces + bpe + "\x0A\x08\x0A\x01x\x15\x00\x00\xC0\x7F"s, "not a number"},
      {pieces + bpe + "\x12\x04\xC8\x02\xE7\x07"s, "bos_id is 999"},
      {pieces + bpe + "\x12\x03\xC0\x01\x01"s, "treat_whitespace", ErrorCode::unsupported_model},
      {pieces + bpe + "\x1A\x02\x28\x00"s, "escape_whitespaces", ErrorCode::unsupported_model},
      {pieces + bpe + "\x2A\x03\x12\x01x"s, "denormalizer", ErrorCode::unsupported_model},
      {pieces + bpe + "\x1A\x05\x12\x03zzz"s, "precompiled_charsmap"},
      {pieces + bpe + "\x1A\x0A\x12\x08\xFF\xFF\xFF\x7F____"s, "precompiled_charsmap"},
      {pieces + bpe + "\x0A\x7F"s, "127 bytes"},
      {pieces + bpe + "\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"s, "bytes"},
      {pieces + bpe + "\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"s, "ten bytes"},
      {pieces + bpe + "\x0B"s, "wire type 3"},
      {pieces + bpe + "\x02"s, "field number"},
      {pieces + bpe + "\x08\x01"s, "field 1 in wire type 0"},
      {"<!DOCTYPE html>", "SentencePiece"},
  };
  for (const auto& model : kModels) {
    SCOPED_TRACE(model.detail);
    HfTexts texts{.directory = "dir"};
    texts.tokenizer_model = model.bytes;
    try {
      Tokenizer::create(read_hf_vocabulary(texts));
      ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), model.code) << error.what();
      EXPECT_EQ(error.subject(), "dir/tokenizer.model");
      EXPECT_THAT(error.detail() + error.hint(), HasSubstr(model.detail));
    }
  }
}

TEST(HfErrors, ADirectoryWithoutATokenizerSaysSo) {
  try {
    read_hf_vocabulary({.directory = "dir"});
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.subject(), "dir");
    EXPECT_THAT(error.detail(), HasSubstr("neither tokenizer.json nor tokenizer.model"));
  }
}

}  // namespace
}  // namespace strata::text::test
