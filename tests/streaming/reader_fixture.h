#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/streaming/block_reader.h"
#include "tests/weights/gguf_builder.h"
#include "tests/weights/temp_folder.h"

namespace strata::test {

inline constexpr std::uint64_t kPage = 4096;
inline constexpr ReadMethod kMethods[] = {ReadMethod::mapped, ReadMethod::buffered,
                                          ReadMethod::direct};

/// A model file of one tensor of 9 MiB of random bytes, whose end is not at a page border.
class ReaderTest : public testing::Test {
 protected:
  ReaderTest() {
    std::string data(9 << 20, '\0');
    std::mt19937 random(7);
    for (std::size_t i = 0; i < data.size(); i += 4) {
      const auto value = static_cast<std::uint32_t>(random());
      std::memcpy(data.data() + i, &value, 4);
    }
    GgufBuilder builder;
    builder.kv_string("general.architecture", "llama");
    builder.tensor({.name = "t", .dims = {1024, 2304}, .type = 0, .data = std::move(data)});
    bytes_ = builder.build();
    path_ = folder_.write("model.gguf", bytes_);
    file_ = ModelFile::open(path_);
  }

  /// Aligned memory for one unit, filled with a pattern.
  std::span<std::byte> slot_for(const StreamUnit& unit) {
    const std::uint64_t bytes = BlockReader::slot_bytes(unit);
    memory_.assign(bytes + kPage, std::byte{0x5a});
    const auto at = reinterpret_cast<std::uintptr_t>(memory_.data());
    return {memory_.data() + ((at + kPage - 1) / kPage * kPage - at), bytes};
  }

  void expect_bytes(const StreamUnit& unit, std::span<const std::byte* const> places) {
    for (std::size_t i = 0; i < unit.parts.size(); ++i) {
      const FileRange& part = unit.parts[i];
      EXPECT_EQ(std::memcmp(places[i], bytes_.data() + part.offset, part.bytes), 0) << "part " << i;
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(places[i]) % kPage, part.offset % kPage);
    }
  }

  /// What reading `unit` throws; "none" if nothing.
  std::string failure(BlockReader& reader, const StreamUnit& unit) {
    std::vector<const std::byte*> places(unit.parts.size());
    try {
      reader.read(unit, slot_for(unit), places);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::io);
      EXPECT_EQ(error.subject(), path_.string());
      EXPECT_FALSE(error.hint().empty());
      return error.what();
    }
    return "none";
  }

  static std::string sweep_failure(BlockReader& reader) {
    try {
      reader.begin_sweep();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::io);
      return error.what();
    }
    return "none";
  }

  TempFolder folder_;
  std::string bytes_;
  std::filesystem::path path_;
  std::shared_ptr<const ModelFile> file_;
  std::vector<std::byte> memory_;
};

}  // namespace strata::test
