// Hugging Face directories: config.json as metadata, one file or shards by an index, and every way
// in which the files do not belong together.
#include "runtime/weights/hf_directory.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>

#include "runtime/core/error.h"
#include "runtime/weights/describe.h"
#include "runtime/weights/flatten_json.h"
#include "runtime/weights/model_file.h"
#include "tests/weights/safetensors_builder.h"
#include "tests/weights/temp_folder.h"

namespace strata::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

void expect_error(const std::function<void()>& run, const std::string& text,
                  ErrorCode code = ErrorCode::bad_model) {
  SCOPED_TRACE(text);
  try {
    run();
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_THAT(error.what(), HasSubstr(text));
  }
}

TEST(FlattenJson, NamesAndTypes) {
  std::deque<std::string> texts;
  const Metadata config = flatten_json(
      R"({"s":"text","i":-3,"u":18446744073709551615,"f":1e-5,"b":true,"n":null,"o":{"x":{"y":1}},
          "is":[1,2],"fs":[1,2.5],"bs":[true],"ss":["a","b"],"none":[],"mixed":[1,"a"]})",
      "x", texts);
  EXPECT_EQ(config.require_string("s"), "text");
  EXPECT_EQ(config.find_i64("i"), -3);
  EXPECT_EQ(config.find_u64("u"), ~0ULL);
  EXPECT_EQ(config.find_f64("f"), 1e-5);
  EXPECT_EQ(config.find_bool("b"), true);
  EXPECT_FALSE(config.contains("n"));
  EXPECT_EQ(config.find_i64("o.x.y"), 1);
  EXPECT_THAT(*config.find_i32_array("is"), ElementsAre(1, 2));
  EXPECT_THAT(*config.find_f32_array("fs"), ElementsAre(1.0F, 2.5F));
  EXPECT_THAT(*config.find_string_array("ss"), ElementsAre("a", "b"));
  EXPECT_EQ(config.require("none").count(), 0u);
  EXPECT_EQ(config.find_i64("mixed.0"), 1);
  EXPECT_EQ(config.require_string("mixed.1"), "a");
  EXPECT_EQ(config.size(), 13u);
}

TEST(FlattenJson, Refuses) {
  const auto parse = [](std::string text) {
    return [text = std::move(text)] {
      std::deque<std::string> texts;
      flatten_json(text, "x", texts);
    };
  };
  expect_error(parse(""), "is no JSON");
  expect_error(parse("{\"a\":1"), "is no JSON");
  expect_error(parse("[1]"), "is no JSON object");
  expect_error(parse("{\"a\":NaN}"), "is no JSON");
  expect_error(parse("{\"a\":1e999}"), "is no JSON");
  expect_error(parse("{\"a\":1,\"a\":1}"), "key \"a\" twice");
  expect_error(parse("{\"o\":{\"a\":1,\"a\":1}}"), "key \"a\" twice");
  expect_error(parse("{\"o.a\":1,\"o\":{\"a\":1}}"), "key \"o.a\" twice");
  expect_error(parse("{\"a\":" + std::string(100'000, '[')), "deeper than 32");
  EXPECT_NO_THROW(parse("{\"o\":{\"a\":1},\"p\":{\"a\":1}}")());
}

class HfDirectories : public testing::Test {
 protected:
  static constexpr const char* kConfig = R"({"model_type":"mistral","hidden_size":2})";
  static std::string part(const std::string& name, std::vector<float> numbers) {
    return SafetensorsBuilder().floats(name, {numbers.size()}, numbers).build();
  }
  /// a and b in the first part, c in the second.
  void write_parts() const {
    folder_.write("config.json", kConfig);
    folder_.write("model-00001-of-00002.safetensors",
                  SafetensorsBuilder().floats("a", {1}, {1}).floats("b", {2}, {2, 3}).build());
    folder_.write("model-00002-of-00002.safetensors", part("c", {4}));
    write_index(R"({"a":"model-00001-of-00002.safetensors","b":"model-00001-of-00002.safetensors",
                    "c":"model-00002-of-00002.safetensors"})");
  }
  void write_index(const std::string& map) const {
    folder_.write("model.safetensors.index.json",
                  R"({"metadata":{"total_size":16},"weight_map":)" + map + "}");
  }
  std::function<void()> opening(const std::string& name = "") const {
    return [path = folder_.path() / name] { ModelFile::open(path); };
  }
  TempFolder folder_;
};

TEST_F(HfDirectories, OneFile) {
  folder_.write("config.json", kConfig);
  folder_.write("model.safetensors", part("a", {1, 2}));
  for (const char* name : {"", "model.safetensors"}) {
    const auto file = ModelFile::open(folder_.path() / name);
    EXPECT_TRUE(file->is_hugging_face());
    EXPECT_TRUE(std::filesystem::equivalent(file->directory(), folder_.path()));
    EXPECT_EQ(file->path(), folder_.path() / name);
    EXPECT_EQ(file->format(), "safetensors");
    EXPECT_EQ(file->architecture(), "llama");
    EXPECT_EQ(file->metadata().find_i64("hidden_size"), 2);
    const TensorInfo& a = file->require("a");
    EXPECT_EQ(a.bytes, 8u);
    EXPECT_EQ(file->data(a).data(), file->shards()[0].bytes().data() + a.offset);
    EXPECT_EQ(summarize(*file).parameters, 2u);
  }
}

TEST_F(HfDirectories, Shards) {
  write_parts();
  for (const char* name : {"", "model.safetensors.index.json"}) {
    const auto file = ModelFile::open(folder_.path() / name);
    ASSERT_EQ(file->shards().size(), 2u);
    EXPECT_EQ(file->tensors().size(), 3u);
    EXPECT_EQ(file->require("c").shard, 1u);
    float number = 0;
    std::memcpy(&number, file->data(file->require("c")).data(), sizeof(number));
    EXPECT_EQ(number, 4.0F);
    const auto place = file->place_of(file->data(file->require("b")));
    ASSERT_TRUE(place);
    EXPECT_EQ(place->shard, 0u);
    EXPECT_EQ(place->offset, file->require("b").offset);
    EXPECT_FALSE(file->place_of(std::as_bytes(std::span(&number, 1))));
    EXPECT_EQ(file->tensor_bytes(), 16u);
  }
}

TEST_F(HfDirectories, GgufFilesHaveNoDirectory) {
  EXPECT_FALSE(find_hf_directory(folder_.path() / "model.gguf"));
  EXPECT_FALSE(find_hf_directory(folder_.path() / ".safetensors"));
  EXPECT_FALSE(find_hf_directory(""));
}

TEST_F(HfDirectories, DirectoriesWithoutAModel) {
  expect_error(opening(), "holds no model.safetensors");
  folder_.write("params.json", "{}");
  expect_error(opening(), "params.json");
  folder_.write("pytorch_model.bin", "x");
  expect_error(opening(), "Python pickle (pytorch_model.bin)");
  expect_error(opening("model.safetensors"), "cannot find", ErrorCode::io);
  folder_.write("model.safetensors", part("a", {1}));
  expect_error(opening(), "has no config.json");
  folder_.write("config.json", "{}");
  expect_error(opening(), "model_type");
  folder_.write("config.json", R"({"model_type":"x","general":{"architecture":"y"}})");
  expect_error(opening(), "general.architecture");
  folder_.write("config.json",
                "{\"model_type\":\"x\",\"a\":\"" + std::string(5 << 20, 'x') + "\"}");
  expect_error(opening(), "more than the limit of 4194304");
}

TEST_F(HfDirectories, OnePartOfSeveral) {
  write_parts();
  expect_error(opening("model-00002-of-00002.safetensors"), "one part of a model in several files");
}

TEST_F(HfDirectories, ShardsOutsideTheDirectory) {
  write_parts();
  for (const char* name :
       {"../x.safetensors", "/etc/x.safetensors", "sub/x.safetensors", "..", "", "model.bin",
        ".safetensors", ".x.safetensors", "a\\\\b.safetensors", "a\\u0000.safetensors"}) {
    write_index(fmt::format("{{\"a\":\"{}\"}}", name));
    expect_error(opening(), "not the plain name of a .safetensors file");
  }
  write_index("{\"a\":1}");
  expect_error(opening(), "weight_map.a");
  write_index("{}");
  expect_error(opening(), "names 0 files");
}

TEST_F(HfDirectories, PartsThatDoNotBelongTogether) {
  const std::string one = "\"model-00001-of-00002.safetensors\"";
  const std::string two = "\"model-00002-of-00002.safetensors\"";
  write_parts();
  write_index("{\"a\":" + one + ",\"c\":" + two + ",\"d\":" + two + "}");
  expect_error(opening(), "tensor \"d\" is in model-00002-of-00002.safetensors, which does not");
  write_index("{\"a\":" + two + ",\"b\":" + one + "}");
  expect_error(opening(), "tensor \"a\" is in model-00002-of-00002.safetensors, which another");
  write_parts();
  folder_.write("model-00002-of-00002.safetensors",
                SafetensorsBuilder().floats("c", {1}, {4}).floats("a", {1}, {1}).build());
  expect_error(opening(), "tensor \"a\" is also in");
  const std::string whole = part("c", {4});
  folder_.write("model-00002-of-00002.safetensors", whole.substr(0, whole.size() - 1));
  expect_error(opening(), "need 4 bytes, and the file has 3 after the header: 1 are missing");
  std::filesystem::remove(folder_.path() / "model-00002-of-00002.safetensors");
  expect_error(opening(), "part 2 of 2 is missing", ErrorCode::io);
}

}  // namespace
}  // namespace strata::test
