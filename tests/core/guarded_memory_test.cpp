// Pages that vanish under their readers: a file cut short while it is mapped.
#include "runtime/core/guarded_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/core/mapped_file.h"
#include "runtime/core/thread_pool.h"

namespace strata {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr std::size_t kPage = 4096;
constexpr std::size_t kPages = 64;

class GuardedMemory : public testing::Test {
 protected:
  GuardedMemory() {
    std::string pattern = (fs::temp_directory_path() / "strata-test-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    path_ = folder_ / "file";
    std::ofstream(path_, std::ios::binary) << std::string(kPages * kPage, 'x');
  }
  ~GuardedMemory() override { fs::remove_all(folder_); }

  static std::size_t count_x(const MappedFile& file) {
    std::size_t count = 0;
    for (const std::byte byte : file.bytes()) count += byte == std::byte{'x'} ? 1 : 0;
    return count;
  }

  fs::path folder_;
  fs::path path_;
};

TEST_F(GuardedMemory, AFileThatIsCutShortReadsAsZerosAndSaysSo) {
  const MappedFile file = MappedFile::open(path_);
  const MappedFile other = MappedFile::open(path_);
  EXPECT_EQ(count_x(file), kPages * kPage);
  EXPECT_FALSE(file.lost_from().has_value());
  file.require_intact();

  fs::resize_file(path_, 10 * kPage);
  EXPECT_EQ(count_x(file), 10 * kPage);
  EXPECT_EQ(file.lost_from(), 10 * kPage);
  try {
    file.require_intact();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::io);
    EXPECT_EQ(error.subject(), path_.string());
    EXPECT_THAT(error.what(), HasSubstr("from 40960 of 262144 on"));
  }
  EXPECT_FALSE(other.lost_from().has_value()) << "nobody touched it there";

  // Mended, it stays lost until it is opened again.
  std::ofstream(path_, std::ios::binary) << std::string(kPages * kPage, 'x');
  EXPECT_EQ(count_x(file), 10 * kPage);
  EXPECT_TRUE(file.lost_from().has_value());
  EXPECT_EQ(count_x(MappedFile::open(path_)), kPages * kPage);
}

TEST_F(GuardedMemory, TheGuardMovesWithTheFile) {
  MappedFile first = MappedFile::open(path_);
  MappedFile file(std::move(first));
  MappedFile third = MappedFile::open(path_);
  third = std::move(file);
  fs::resize_file(path_, 0);
  EXPECT_EQ(count_x(third), 0U);
  EXPECT_EQ(third.lost_from(), 0U);
}

TEST_F(GuardedMemory, EveryThreadLivesOn) {
  const MappedFile file = MappedFile::open(path_);
  fs::resize_file(path_, kPage);
  ThreadPool pool(4);
  std::atomic<std::size_t> zeros{0};
  // From the last page to the first: each thread meets its own fault first.
  pool.run_items(
      4, [](int) { return static_cast<std::uint32_t>(kPages / 4); },
      [&](int, int owner, std::uint32_t item) {
        const std::size_t page = kPages - 1 - (item * 4 + static_cast<std::size_t>(owner));
        if (file.bytes()[page * kPage + 7] == std::byte{0}) zeros.fetch_add(1);
      });
  EXPECT_EQ(zeros.load(), kPages - 1);
  EXPECT_EQ(file.lost_from(), kPage);
}

TEST_F(GuardedMemory, PlacesInTheTableAreUsedAgain) {
  for (std::size_t i = 0; i < MemoryGuard::kMostGuards + 10; ++i) {
    const MappedFile file = MappedFile::open(path_);
    ASSERT_FALSE(file.lost_from().has_value());
  }
  std::vector<std::byte> memory(kPage);
  std::vector<MemoryGuard> guards;
  for (std::size_t i = 0; i < MemoryGuard::kMostGuards; ++i) guards.emplace_back(memory);
  EXPECT_TRUE(guards.back().active());
  EXPECT_FALSE(MemoryGuard(memory).active());
  EXPECT_FALSE(MemoryGuard(std::span<const std::byte>()).active());
}

TEST_F(GuardedMemory, OtherFaultsEndTheProcessAsBefore) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        const MappedFile guarded = MappedFile::open(path_);
        std::FILE* file = std::fopen(path_.c_str(), "rb");
        const auto* bytes = static_cast<const volatile char*>(
            ::mmap(nullptr, kPages * kPage, PROT_READ, MAP_SHARED, ::fileno(file), 0));
        fs::resize_file(path_, 0);
        const char touched = bytes[kPage];
        static_cast<void>(touched);
      },
      "");
}

}  // namespace
}  // namespace strata
