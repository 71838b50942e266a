#include "runtime/core/output_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <optional>

#include "runtime/core/error.h"
#include "tests/weights/temp_folder.h"

namespace strata::test {
namespace {

using testing::HasSubstr;

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string read(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::size_t files(const TempFolder& folder) {
  return static_cast<std::size_t>(
      std::distance(std::filesystem::directory_iterator(folder.path()), {}));
}

std::string refusal(const std::filesystem::path& path, std::uint64_t size, bool replace) {
  try {
    OutputFile file(path, size, replace);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::io);
    return error.what();
  }
  return "";
}

TEST(OutputFile, TakesItsNameWhenItIsWhole) {
  const TempFolder folder;
  const auto path = folder.path() / "model.gguf";
  OutputFile file(path, 8, false);
  file.write_at(4, bytes("5678"));
  file.write_at(0, bytes("1234"));
  EXPECT_FALSE(std::filesystem::exists(path));
  file.commit();
  EXPECT_EQ(read(path), "12345678");
  EXPECT_EQ(files(folder), 1U);
}

TEST(OutputFile, LeavesNothingWithoutCommit) {
  const TempFolder folder;
  const auto path = folder.write("model.gguf", "old");
  {
    OutputFile file(path, 4, true);
    file.write_at(0, bytes("new!"));
  }
  EXPECT_EQ(read(path), "old");
  EXPECT_EQ(files(folder), 1U);
}

TEST(OutputFile, ReplacesOnlyWhenAsked) {
  const TempFolder folder;
  const auto path = folder.write("model.gguf", "old");
  EXPECT_THAT(refusal(path, 4, false), HasSubstr("exists already"));
  OutputFile file(path, 4, true);
  file.write_at(0, bytes("new!"));
  file.commit();
  EXPECT_EQ(read(path), "new!");
}

TEST(OutputFile, RefusesWhatCannotBe) {
  const TempFolder folder;
  EXPECT_THAT(refusal(folder.path(), 4, true), HasSubstr("not a regular file"));
  EXPECT_THAT(refusal(folder.path() / "none" / "x", 4, true), HasSubstr("is no folder"));
  EXPECT_THAT(refusal(folder.path() / "x", std::uint64_t{1} << 62, false), HasSubstr("free"));
  EXPECT_EQ(files(folder), 0U);
}

}  // namespace
}  // namespace strata::test
