#include "runtime/core/mapped_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "runtime/core/error.h"

namespace strata {
namespace {

namespace fs = std::filesystem;

class MappedFiles : public testing::Test {
 protected:
  MappedFiles() {
    std::string pattern = (fs::temp_directory_path() / "strata-test-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~MappedFiles() override { fs::remove_all(folder_); }
  fs::path write(const std::string& bytes) {
    std::ofstream(folder_ / "file", std::ios::binary) << bytes;
    return folder_ / "file";
  }
  static std::string text(const MappedFile& file) {
    return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
  }
  fs::path folder_;
};

TEST_F(MappedFiles, HoldsTheBytesMappedOrRead) {
  std::string bytes(100'000, 'x');
  bytes[99'999] = 'y';
  const fs::path path = write(bytes);
  for (bool no_mmap : {false, true}) {
    const MappedFile file = MappedFile::open(path, {.mlock = false, .no_mmap = no_mmap});
    EXPECT_EQ(text(file), bytes);
    EXPECT_EQ(file.size(), bytes.size());
    EXPECT_EQ(file.path(), path);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(file.bytes().data()) % 4096, 0u);
    EXPECT_TRUE(file.warning().empty());
  }
}

TEST_F(MappedFiles, EmptyFile) {
  for (bool no_mmap : {false, true}) {
    const MappedFile file = MappedFile::open(write(""), {.mlock = true, .no_mmap = no_mmap});
    EXPECT_TRUE(file.bytes().empty());
    EXPECT_TRUE(file.populate(0, 100));
  }
}

TEST_F(MappedFiles, MovesAndStaysMapped) {
  MappedFile first = MappedFile::open(write("first"));
  const std::byte* data = first.bytes().data();
  MappedFile second(std::move(first));
  EXPECT_EQ(second.bytes().data(), data);
  EXPECT_TRUE(first.bytes().empty());  // NOLINT(bugprone-use-after-move): what is promised
  fs::remove(folder_ / "file");
  EXPECT_EQ(text(second), "first");
  MappedFile third = MappedFile::open(write("third"));
  second = std::move(third);
  EXPECT_EQ(text(second), "third");
}

TEST_F(MappedFiles, AdviceNeverChangesTheBytes) {
  const std::string bytes(3 * 4096 + 100, 'z');
  const fs::path path = write(bytes);
  for (bool no_mmap : {false, true}) {
    const MappedFile file = MappedFile::open(path, {.mlock = false, .no_mmap = no_mmap});
    file.will_need(5000, 1);
    file.populate(1, 5000);
    file.dont_need(0, bytes.size());
    file.dont_need(4096, ~std::uint64_t{0});
    file.dont_need(~std::uint64_t{0}, ~std::uint64_t{0});
    file.dont_need(1, 2);
    file.will_need(bytes.size(), 10);
    EXPECT_EQ(text(file), bytes);
  }
}

// Pages of the file that are in memory.
std::size_t cached_pages(const MappedFile& file) {
  std::vector<unsigned char> pages(file.bytes().size() / 4096);
  // mincore does not write to what it is asked about.
  EXPECT_EQ(::mincore(const_cast<std::byte*>(file.bytes().data()), file.bytes().size(), &pages[0]),
            0);
  return static_cast<std::size_t>(
      std::count_if(pages.begin(), pages.end(), [](unsigned char page) { return page & 1; }));
}

TEST_F(MappedFiles, WhatWillBeNeededIsReadAheadWhole) {
  constexpr std::size_t kBytes = std::size_t{48} << 20;  // more than a disk's read-ahead
  const fs::path path = write(std::string(kBytes, 'w'));
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_GE(descriptor, 0);
  ASSERT_EQ(::fsync(descriptor), 0);
  ::posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
  ::close(descriptor);
  const MappedFile file = MappedFile::open(path);
  if (cached_pages(file) != 0) GTEST_SKIP() << "this file system keeps a file's pages in memory";
  file.will_need(0, kBytes);
  for (int tries = 0; tries < 3000 && cached_pages(file) < kBytes / 4096; ++tries)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(cached_pages(file), kBytes / 4096);
}

TEST_F(MappedFiles, RefusedLockIsAWarning) {
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_MEMLOCK, &old), 0);
  const rlimit none{0, old.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_MEMLOCK, &none), 0);
  const MappedFile file = MappedFile::open(write("bytes"), {.mlock = true, .no_mmap = false});
  ASSERT_EQ(::setrlimit(RLIMIT_MEMLOCK, &old), 0);
  EXPECT_EQ(text(file), "bytes");
  // Root with CAP_IPC_LOCK is not bound by the limit.
  if (!file.warning().empty()) {
    EXPECT_NE(file.warning().find("cannot lock its 5 bytes"), std::string::npos);
  }
}

TEST_F(MappedFiles, MissingFileSaysWhy) {
  try {
    MappedFile::open(folder_ / "none");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error_class(error.code()).tag, "E-IO");
    EXPECT_EQ(error.subject(), (folder_ / "none").string());
    EXPECT_EQ(error.detail(), "cannot find: No such file or directory");
    EXPECT_FALSE(error.hint().empty());
  }
}

TEST_F(MappedFiles, MoreThanTheMachineHasIsNotRead) {
  const fs::path path = write("x");
  std::error_code refused;
  fs::resize_file(path, std::uintmax_t{8} << 40, refused);
  if (refused) GTEST_SKIP() << "SKIP: the disk takes no sparse file of 8 TiB";
  EXPECT_EQ(MappedFile::open(path).size(), std::uint64_t{8} << 40);
  try {
    MappedFile::open(path, {.mlock = false, .no_mmap = true});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error_class(error.code()).tag, "E-OOM");
  }
}

}  // namespace
}  // namespace strata
