// The typed getters: what they take, what they refuse, and what the refusal says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "runtime/core/error.h"
#include "runtime/weights/gguf.h"
#include "runtime/weights/model_file.h"
#include "tests/weights/gguf_builder.h"
#include "tests/weights/temp_folder.h"

namespace strata {
namespace {

using testing::HasSubstr;

/// A file with a key of every type, kept open.
class MetadataGetters : public testing::Test {
 protected:
  MetadataGetters() {
    test::GgufBuilder builder;
    builder.kv_number("u8", ValueType::u8, std::uint8_t{200})
        .kv_number("i8", ValueType::i8, std::int8_t{-5})
        .kv_number("u16", ValueType::u16, std::uint16_t{60000})
        .kv_number("i16", ValueType::i16, std::int16_t{-300})
        .kv_number("u32", ValueType::u32, 4'000'000'000u)
        .kv_number("i32", ValueType::i32, -7)
        .kv_number("f32", ValueType::f32, 0.5f)
        .kv_number("bool", ValueType::boolean, std::uint8_t{1})
        .kv_string("string", "text \"quoted\"\n")
        .kv_number("u64", ValueType::u64, ~std::uint64_t{0})
        .kv_number("i64", ValueType::i64, std::numeric_limits<std::int64_t>::min())
        .kv_number("f64", ValueType::f64, 1e300)
        .kv_number("nan", ValueType::f32, std::nanf(""))
        .kv_number("inf", ValueType::f64, HUGE_VAL)
        .kv_array<std::int32_t>("i32s", ValueType::i32, {1, -2, 3})
        .kv_array<std::uint64_t>("u64s", ValueType::u64, {1, 2, std::uint64_t{1} << 40})
        .kv_array<float>("f32s", ValueType::f32, {1.5f, -2.0f})
        .kv_array<double>("f64s", ValueType::f64, {1.5, 1e300})
        .kv_array<std::uint8_t>("bools", ValueType::boolean, {1, 0, 1})
        .kv_strings("strings", {"a", "", "c"})
        .kv_array<float>("none", ValueType::f32, {});
    model_ = ModelFile::open(folder_.write("model.gguf", builder.build()));
  }
  const Metadata& keys() const { return model_->metadata(); }

  /// The message of the Error that `call` throws.
  template <class Call>
  std::string refusal(Call call) const {
    try {
      call(keys());
    } catch (const Error& error) {
      EXPECT_EQ(error_class(error.code()).tag, "E-MODEL");
      EXPECT_EQ(error.subject(), model_->path().string());
      return error.detail();
    }
    return "nothing thrown";
  }

 private:
  test::TempFolder folder_;
  std::shared_ptr<const ModelFile> model_;
};

TEST_F(MetadataGetters, IntegersOfAnyWidth) {
  EXPECT_EQ(keys().require_u32("u8"), 200u);
  EXPECT_EQ(keys().require_u32("u16"), 60000u);
  EXPECT_EQ(keys().require_u64("u32"), 4'000'000'000u);
  EXPECT_EQ(keys().require_u64("u64"), ~std::uint64_t{0});
  EXPECT_EQ(keys().find_i64("i8"), -5);
  EXPECT_EQ(keys().find_i64("i16"), -300);
  EXPECT_EQ(keys().find_i64("i64"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(keys().find_i64("i32", -10, -7), -7);
  EXPECT_EQ(keys().find_u32("absent"), std::nullopt);
}

TEST_F(MetadataGetters, IntegersOutOfRange) {
  EXPECT_THAT(refusal([](const Metadata& m) { m.find_u32("u64"); }),
              HasSubstr("key \"u64\" is 18446744073709551615 of type u64, wanted an integer from 0 "
                        "to 4294967295"));
  EXPECT_THAT(refusal([](const Metadata& m) { m.find_u64("i32"); }),
              HasSubstr("is -7 of type i32"));
  EXPECT_THAT(refusal([](const Metadata& m) { m.find_i64("u64"); }), HasSubstr("of type u64"));
  EXPECT_THAT(refusal([](const Metadata& m) { m.find_i64("i32", -6, 0); }),
              HasSubstr("wanted an integer from -6 to 0"));
  EXPECT_THAT(refusal([](const Metadata& m) { m.find_i64("i32", -9, -8); }), HasSubstr("-7"));
  EXPECT_THAT(refusal([](const Metadata& m) { m.require_u32("u8", 1, 199); }),
              HasSubstr("from 1 to 199"));
}

TEST_F(MetadataGetters, WrongTypes) {
  EXPECT_THAT(refusal([](const Metadata& m) { m.find_u32("f32"); }),
              HasSubstr("key \"f32\" is 0.5 of type f32, wanted an integer"));
  EXPECT_THAT(refusal([](const Metadata& m) { m.find_u32("bool"); }),
              HasSubstr("is true of type bool"));
  EXPECT_THAT(refusal([](const Metadata& m) { m.find_f32("u8"); }), HasSubstr("wanted a float"));
  EXPECT_THAT(refusal([](const Metadata& m) { m.find_bool("u8"); }), HasSubstr("wanted bool"));
  EXPECT_THAT(refusal([](const Metadata& m) { m.find_string("u8"); }), HasSubstr("wanted string"));
  EXPECT_THAT(refusal([](const Metadata& m) { m.find_u32("string"); }),
              HasSubstr("is \"text \"quoted\"\\x0a\" of type string"));
  EXPECT_THAT(refusal([](const Metadata& m) { m.find_u32("i32s"); }),
              HasSubstr("is [1, -2, 3] of type array of i32"));
  EXPECT_THAT(refusal([](const Metadata& m) { m.find_i32_array("strings"); }),
              HasSubstr("is [\"a\", \"\", \"c\"] of type array of string, wanted array of i32"));
  EXPECT_THAT(refusal([](const Metadata& m) { m.find_f32_array("u8"); }),
              HasSubstr("array of f32"));
  EXPECT_THAT(refusal([](const Metadata& m) { m.find_bool_array("i32s"); }),
              HasSubstr("array of bool"));
  EXPECT_THAT(refusal([](const Metadata& m) { m.find_string_array("i32s"); }),
              HasSubstr("wanted array of string"));
}

TEST_F(MetadataGetters, MissingKeys) {
  EXPECT_EQ(keys().find_u64("absent"), std::nullopt);
  EXPECT_EQ(keys().find_i64("absent"), std::nullopt);
  EXPECT_EQ(keys().find_f64("absent"), std::nullopt);
  EXPECT_EQ(keys().find_f32("absent"), std::nullopt);
  EXPECT_EQ(keys().find_bool("absent"), std::nullopt);
  EXPECT_EQ(keys().find_string("absent"), std::nullopt);
  EXPECT_EQ(keys().find_f32_array("absent"), std::nullopt);
  EXPECT_EQ(keys().find_bool_array("absent"), std::nullopt);
  EXPECT_FALSE(keys().find_string_array("absent").has_value());
  const std::string missing = "key \"absent\" is missing";
  EXPECT_EQ(refusal([](const Metadata& m) { m.require("absent"); }), missing);
  EXPECT_EQ(refusal([](const Metadata& m) { m.require_u32("absent"); }), missing);
  EXPECT_EQ(refusal([](const Metadata& m) { m.require_u64("absent"); }), missing);
  EXPECT_EQ(refusal([](const Metadata& m) { m.require_f32("absent"); }), missing);
  EXPECT_EQ(refusal([](const Metadata& m) { m.require_bool("absent"); }), missing);
  EXPECT_EQ(refusal([](const Metadata& m) { m.require_string("absent"); }), missing);
}

TEST_F(MetadataGetters, Floats) {
  EXPECT_EQ(keys().require_f32("f32"), 0.5f);
  EXPECT_EQ(keys().find_f64("f64"), 1e300);
  EXPECT_THAT(refusal([](const Metadata& m) { m.find_f32("f64"); }), HasSubstr("is 1e+300"));
  EXPECT_THAT(refusal([](const Metadata& m) { m.find_f32("nan"); }), HasSubstr("is nan"));
  EXPECT_THAT(refusal([](const Metadata& m) { m.find_f64("inf"); }), HasSubstr("is inf"));
  EXPECT_THAT(refusal([](const Metadata& m) { m.require_f32("f32", 0.6f, 1); }),
              HasSubstr("wanted a float from 0.6"));
}

TEST_F(MetadataGetters, Lists) {
  EXPECT_EQ(keys().find_i32_array("i32s"), (std::vector<std::int32_t>{1, -2, 3}));
  EXPECT_EQ(keys().find_f32_array("f32s"), (std::vector<float>{1.5f, -2.0f}));
  EXPECT_EQ(keys().find_bool_array("bools"), (std::vector<bool>{true, false, true}));
  EXPECT_THAT(*keys().find_string_array("strings"), testing::ElementsAre("a", "", "c"));
  EXPECT_EQ(keys().find_f32_array("none"), std::vector<float>());
  EXPECT_EQ(keys().find_i32_array("absent"), std::nullopt);
  EXPECT_THAT(refusal([](const Metadata& m) { m.find_i32_array("u64s"); }),
              HasSubstr("has 1099511627776 at index 2"));
  EXPECT_THAT(refusal([](const Metadata& m) { m.find_i32_array("i32s", 0, 9); }),
              HasSubstr("has -2 at index 1, wanted an integer from 0 to 9"));
  EXPECT_THAT(refusal([](const Metadata& m) { m.find_f32_array("f64s"); }),
              HasSubstr("has 1e+300 at index 1, wanted a finite float"));
}

TEST_F(MetadataGetters, PerLayer) {
  EXPECT_EQ(keys().find_u32_per_layer("u8", 3), (std::vector<std::uint32_t>{200, 200, 200}));
  EXPECT_EQ(keys().find_u32_per_layer("absent", 3), std::nullopt);
  EXPECT_THAT(refusal([](const Metadata& m) { m.find_u32_per_layer("i32s", 4); }),
              HasSubstr("has 3 elements, wanted one for each of 4 layers"));
  EXPECT_THAT(refusal([](const Metadata& m) { m.find_u32_per_layer("i32s", 3); }),
              HasSubstr("has -2 at index 1"));
  EXPECT_THAT(refusal([](const Metadata& m) { m.find_u32_per_layer("f32s", 2); }),
              HasSubstr("wanted u32 or array of u32"));
}

TEST_F(MetadataGetters, TextForPeople) {
  EXPECT_EQ(keys().require("strings").to_text(2), "[\"a\", \"\", ... 1 more]");
  EXPECT_EQ(keys().require("i64").to_text(), "-9223372036854775808");
  EXPECT_EQ(keys().require("none").to_text(), "[]");
  EXPECT_EQ(keys().require("string").to_text(4, 6), "\"text \"...\"");
  EXPECT_EQ(keys().entries()[2].key, "u16");
}

TEST(Metadata, GrowsPastWhatItExpected) {
  Metadata metadata("file", 2);
  std::vector<std::string> names;
  for (int i = 0; i < 1000; ++i) names.push_back("key." + std::to_string(i));
  for (const std::string& name : names) EXPECT_TRUE(metadata.add(name, {}));
  for (const std::string& name : names) EXPECT_FALSE(metadata.add(name, {}));
  for (const std::string& name : names) EXPECT_TRUE(metadata.contains(name));
  EXPECT_EQ(metadata.size(), 1000u);
  EXPECT_FALSE(metadata.contains("key.1000"));
}

}  // namespace
}  // namespace strata
