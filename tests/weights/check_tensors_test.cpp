// The optional scan finds a NaN or infinity wherever a type keeps floats, and nothing in sound
// files.
#include "runtime/weights/check_tensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/support/shared_data.h"
#include "tests/weights/gguf_builder.h"
#include "tests/weights/temp_folder.h"

namespace strata {
namespace {

constexpr std::uint16_t kNanF16 = 0x7e00, kInfF16 = 0xfc00, kNanBf16 = 0x7fc0;

/// A model of one tensor of three blocks of `type`, in whose second block `bytes` stand at `at`.
std::vector<TensorDefect> scan(const StoredType& type, std::size_t at, std::string_view bytes) {
  std::string data(3 * type.block_bytes, '\0');
  data.replace(type.block_bytes + at, bytes.size(), bytes);
  const test::TempFolder folder;
  const auto columns = static_cast<std::uint64_t>(type.block_elements);
  const auto builder =
      test::GgufBuilder()
          .tensor("sound", {32})
          .tensor({.name = "bad", .dims = {columns, 3}, .type = type.gguf_id, .data = data});
  return check_tensors(*ModelFile::open(folder.write("model.gguf", builder.build())));
}

std::string f16(std::uint16_t bits) { return test::Bytes().number(bits).str(); }

/// Every place at which a block of a type keeps a half-precision scale (formats of ggml's blocks).
const std::map<DType, std::vector<std::size_t>> kHalfScales = {
    {DType::F16, {0}},     {DType::Q4_0, {0}},    {DType::Q4_1, {0, 2}},   {DType::Q5_0, {0}},
    {DType::Q5_1, {0, 2}}, {DType::Q8_0, {0}},    {DType::Q2_K, {80, 82}}, {DType::Q3_K, {108}},
    {DType::Q4_K, {0, 2}}, {DType::Q5_K, {0, 2}}, {DType::Q6_K, {208}},    {DType::IQ4_NL, {0}},
    {DType::IQ4_XS, {0}}};

TEST(CheckTensors, HalfPrecisionScales) {
  for (const auto& [dtype, places] : kHalfScales)
    for (std::size_t at : places)
      for (std::uint16_t bits : {kNanF16, kInfF16}) {
        SCOPED_TRACE(std::string(dtype_info(dtype).name));
        const auto defects = scan(*find_stored_type(dtype_info(dtype).gguf_id), at, f16(bits));
        ASSERT_EQ(defects.size(), 1u);
        EXPECT_EQ(defects[0].tensor, 1u);
        EXPECT_EQ(defects[0].block, 1);
        EXPECT_EQ(defects[0].count, 1u);
        EXPECT_THAT(defects[0].text, testing::HasSubstr("tensor \"bad\""));
      }
}

TEST(CheckTensors, EveryTypeIsCovered) {
  for (const DTypeInfo& info : kDTypes) {
    const std::string ones(info.block_bytes, '\xff');
    const bool integer = info.dtype == DType::I8 || info.dtype == DType::I32;
    EXPECT_EQ(scan(*find_stored_type(info.gguf_id), 0, ones).size(), integer ? 0u : 1u)
        << info.name;
    // The largest finite half, or less, wherever a scale may stand.
    EXPECT_TRUE(
        scan(*find_stored_type(info.gguf_id), 0, std::string(info.block_bytes, '\x33')).empty())
        << info.name;
  }
}

TEST(CheckTensors, PlainTypesNameTheElement) {
  const auto single = scan(*find_stored_type(0), 0, test::Bytes().u32(0x7f800000).str());
  ASSERT_EQ(single.size(), 1u);
  EXPECT_EQ(single[0].block, 1);
  EXPECT_THAT(single[0].text, testing::HasSubstr("element 1 has value inf"));
  const auto brain = scan(*find_stored_type(30), 0, f16(kNanBf16));
  ASSERT_EQ(brain.size(), 1u);
  EXPECT_THAT(brain[0].text, testing::HasSubstr("element 1 has value nan"));
}

TEST(CheckTensors, CountsAndProgress) {
  const std::string nan = test::Bytes().u32(0x7fc00000).str();
  const test::TempFolder folder;
  const auto path = folder.write(
      "model.gguf", test::GgufBuilder()
                        .tensor({.name = "n", .dims = {4}, .data = nan + nan + "1234" + nan})
                        .build());
  std::uint64_t last = 0;
  const auto defects = check_tensors(*ModelFile::open(path),
                                     [&](std::uint64_t done, std::uint64_t) { last = done; });
  ASSERT_EQ(defects.size(), 1u);
  EXPECT_EQ(defects[0].count, 3u);
  EXPECT_EQ(defects[0].block, 0);
  EXPECT_EQ(last, 16u);
}

TEST(CheckTensors, FixturesAreSound) {
  STRATA_NEEDS_SHARED();
  for (const auto& entry :
       std::filesystem::directory_iterator(test::shared_root() / "fixtures/quantized-model"))
    if (entry.path().extension() == ".gguf") {
      EXPECT_TRUE(check_tensors(*ModelFile::open(entry.path())).empty()) << entry.path();
    }
}

}  // namespace
}  // namespace strata
