// The parser of safetensors headers: what a good file says, and each way to be wrong.
#include "runtime/weights/safetensors.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "runtime/core/error.h"
#include "tests/weights/safetensors_builder.h"

namespace strata::test {
namespace {

using testing::HasSubstr;

struct Parsed {
  std::deque<std::string> names;
  std::vector<TensorInfo> tensors;
};

Parsed parse(std::string_view file, const SafetensorsLimits& limits = {}) {
  Parsed parsed;
  MemoryBudget budget;
  parsed.tensors = parse_safetensors(std::as_bytes(std::span(file)), "x.safetensors", budget,
                                     parsed.names, 3, limits);
  return parsed;
}

SafetensorsBuilder good() {
  SafetensorsBuilder builder;
  builder.floats("b", {2, 3}, {1, 2, 3, 4, 5, 6});
  builder.tensor("a", "BF16", {4}, "abcdefgh").tensor("s", "F16", {}, "xy");
  builder.tensor("q", "F4", {2, 4}, "1234").tensor("u", "U8", {2}, "12");
  builder.header()["__metadata__"] = {{"format", "pt"}, {"note", "\u00e9"}};
  return builder;
}

TEST(Safetensors, ListsTensorsInTheOrderOfTheirBytes) {
  SafetensorsBuilder builder = good();
  // The order of the header does not count.
  SafetensorsBuilder::Json turned = SafetensorsBuilder::Json::object();
  for (auto it = builder.header().rbegin(); it != builder.header().rend(); ++it)
    turned[it.key()] = it.value();
  const std::string file = builder.with_header(turned.dump());
  const Parsed parsed = parse(file);
  ASSERT_EQ(parsed.tensors.size(), 5u);
  const TensorInfo& b = parsed.tensors[0];
  EXPECT_EQ(b.name, "b");
  EXPECT_EQ(b.dtype(), DType::F32);
  EXPECT_EQ(b.shape(), (Shape{2, 3}));
  EXPECT_EQ(b.columns(), 3);
  EXPECT_EQ(b.bytes, 24u);
  EXPECT_EQ(b.row_bytes(), 12u);
  EXPECT_EQ(b.shard, 3u);
  EXPECT_EQ(file.substr(b.offset, 4), std::string("\0\0\x80\x3f", 4));
  EXPECT_EQ(parsed.tensors[1].dtype(), DType::BF16);
  EXPECT_EQ(file.substr(parsed.tensors[1].offset, 8), "abcdefgh");
  EXPECT_EQ(parsed.tensors[2].shape(), Shape{1});
  EXPECT_EQ(parsed.tensors[3].type_name(), "F4");
  EXPECT_EQ(parsed.tensors[3].dtype(), std::nullopt);
  EXPECT_EQ(parsed.tensors[4].bytes, 2u);
}

TEST(Safetensors, AFileWithoutTensorsIsAFile) {
  EXPECT_TRUE(parse(SafetensorsBuilder().build()).tensors.empty());
}

void expect_error(const std::string& file, const std::string& text,
                  ErrorCode code = ErrorCode::bad_model, const SafetensorsLimits& limits = {}) {
  SCOPED_TRACE(text);
  try {
    parse(file, limits);
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_EQ(error.subject(), "x.safetensors");
    EXPECT_THAT(error.what(), HasSubstr(text));
  }
}

void expect_header_error(const std::function<void(SafetensorsBuilder::Json&)>& damage,
                         const std::string& text, ErrorCode code = ErrorCode::bad_model) {
  SafetensorsBuilder builder = good();
  damage(builder.header());
  expect_error(builder.build(), text, code);
}

TEST(Safetensors, LengthsThatLie) {
  const std::string file = good().build();
  expect_error("", "is empty (0 bytes)");
  expect_error("abc", "the header's length needs 8 bytes, and the file has 3");
  expect_error(SafetensorsBuilder::length(100) + "{}", "needs 100 bytes, and the file has 2");
  expect_error(SafetensorsBuilder::length(100'000'001) + "{}",
               "would have 100000001 bytes, more than the limit of 100000000");
  expect_error(SafetensorsBuilder::length(~0ULL) + "{}", "more than the limit");
  expect_error(SafetensorsBuilder::length(2) + "[]", "does not begin with");
  expect_error(SafetensorsBuilder::length(0), "begins with zero bytes");
  for (std::size_t cut = 1; cut <= 6; ++cut)
    expect_error(file.substr(0, file.size() - cut), fmt::format("{} are missing", cut));
  expect_error(file + "zz", "2 bytes belong to none");
  expect_error("version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer");
  expect_error("<!DOCTYPE html><html>", "HTML page");
}

TEST(Safetensors, HeadersThatAreNoJson) {
  const SafetensorsBuilder builder = good();
  expect_error(builder.with_header("{"), "no JSON");
  expect_error(builder.with_header("{\"a\":}"), "no JSON");
  expect_error(builder.with_header("{} x"), "no JSON");
  expect_error(builder.with_header("{\"\xff\":1}"), "no JSON");
  expect_error(builder.with_header("{" + std::string(5000, '[')), "no JSON");
  expect_error(builder.with_header("{\"a\":" + std::string(100'000, '[')), "has a list");
}

TEST(Safetensors, TensorsOfAnotherForm) {
  using Json = SafetensorsBuilder::Json;
  const Json whole = good().header()["a"];
  for (const char* field : {"dtype", "shape", "data_offsets"})
    expect_header_error([&](Json& header) { header["a"].erase(field); }, "lacks one of");
  expect_header_error([](Json& header) { header["a"]["more"] = 1; }, "unknown field \"more\"");
  for (const Json& value : {Json(1), Json("x"), Json(nullptr), Json(true), Json::array()})
    expect_header_error([&](Json& header) { header["a"] = value; }, "where a tensor's object");
  for (const Json& value : {Json(-1), Json(1.5), Json("1"), Json(nullptr), Json::object()})
    for (const char* field : {"shape", "data_offsets"})
      expect_header_error([&](Json& header) { header["a"][field][0] = value; },
                          "tensor \"a\": has");
  expect_header_error([](Json& header) { header["a"]["dtype"] = 7; }, "a number among its fields");
  expect_header_error([](Json& header) { header["a"]["shape"] = 4; }, "a number among its fields");
  expect_header_error([](Json& header) { header["__metadata__"]["n"] = 1; }, "__metadata__");
  expect_header_error([](Json& header) { header["__metadata__"]["format"] = "flax"; }, "flax",
                      ErrorCode::unsupported_model);
  expect_header_error([](Json& header) { header["a"]["dtype"] = "F9"; }, "dtype \"F9\"",
                      ErrorCode::unsupported_model);
  const SafetensorsBuilder builder = good();
  const std::string tensor = R"({"dtype":"U8","shape":[2],"data_offsets":[0,2]})";
  expect_error(builder.with_header("{\"t\":" + tensor + ",\"t\":" + tensor + "}"), "comes twice");
  expect_error(builder.with_header(R"({"t":{"dtype":"U8","dtype":"U8"}})"), "\"dtype\" twice");
}

TEST(Safetensors, ShapesThatLie) {
  using Json = SafetensorsBuilder::Json;
  const auto shape = [](Json value) {
    return [value](Json& header) { header["a"]["shape"] = value; };
  };
  expect_header_error(shape({5}),
                      "5 elements of BF16 need 10 bytes, and its data_offsets 24 to 32");
  expect_header_error(shape({0}), "dimension 0 is 0");
  expect_header_error(shape({~0ULL}), "dimension 0 is 18446744073709551615");
  expect_header_error(shape({1ULL << 62, 4}), "more than 9223372036854775807 elements");
  expect_header_error(shape({1ULL << 32, 1ULL << 31, 2}), "more than");
  expect_header_error(shape({1ULL << 62, 1}), "need 9223372036854775808 bytes");
  expect_header_error(shape({1, 1, 1, 1, 4}), "more than 4 dimensions");
  expect_header_error([](Json& header) { header["q"]["shape"] = {8, 1}; },
                      "not a multiple of the 2 elements");
}

TEST(Safetensors, OffsetsThatLie) {
  using Json = SafetensorsBuilder::Json;
  const auto offsets = [](Json value) {
    return [value](Json& header) { header["a"]["data_offsets"] = value; };
  };
  expect_header_error(offsets({24}), "1 data_offsets, wanted 2");
  expect_header_error(offsets({24, 32, 40}), "more than two");
  expect_header_error(offsets({32, 24}), "hold -8");
  expect_header_error(offsets({~0ULL - 7, 0}), "need 8 bytes");
  expect_header_error(offsets({20, 28}), "overlaps the tensor before, which ends at 24");
  expect_header_error(offsets({26, 34}), "leaves a gap after 24");
  expect_header_error(offsets({~0ULL - 8, ~0ULL}), "are missing");
}

TEST(Safetensors, ElementsThatLieAskew) {
  SafetensorsBuilder builder;
  builder.tensor("u", "U8", {2}, "12").floats("f", {1}, {1});
  expect_error(builder.build(), "no multiple of the 4 bytes");
}

TEST(Safetensors, Limits) {
  expect_error(good().build(), "limit of 16", ErrorCode::bad_model, {.header_bytes = 16});
  expect_error(good().build(), "more than 2 tensors", ErrorCode::bad_model, {.tensors = 2});
  SafetensorsBuilder named;
  named.tensor(std::string(1025, 'n'), "U8", {1}, "1");
  expect_error(named.build(), "has 1025 bytes, wanted 1 to 1024");
  SafetensorsBuilder nameless;
  nameless.tensor("", "U8", {1}, "1");
  expect_error(nameless.build(), "has 0 bytes");
  SafetensorsBuilder control;
  control.tensor("a\nb", "U8", {1}, "1");
  expect_error(control.build(), "control characters");
}

TEST(Safetensors, MemoryIsBounded) {
  std::string header = "{";
  for (int i = 0; i < 1000; ++i)
    header += fmt::format("{}\"t{}\":{{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[{},{}]}}",
                          i == 0 ? "" : ",", i, i, i + 1);
  SafetensorsBuilder builder;
  builder.data() = std::string(1000, 'x');
  const std::string file = builder.with_header(header + "}");
  EXPECT_EQ(parse(file).tensors.size(), 1000u);
  MemoryBudget small(64 << 10);
  std::deque<std::string> names;
  EXPECT_THROW(parse_safetensors(std::as_bytes(std::span(file)), "x.safetensors", small, names),
               Error);
}

}  // namespace
}  // namespace strata::test
