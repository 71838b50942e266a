#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <fstream>

#include "tests/vulkan/on_vulkan.h"

namespace strata::vulkan {
namespace {

// A file of three pages and some bytes, mapped for reading.
class VulkanImport : public OnVulkan {
 protected:
  void SetUp() override {
    OnVulkan::SetUp();
    if (IsSkipped()) return;
    if (device_->limits().import_alignment == 0)
      GTEST_SKIP() << "SKIP: the device has memory of its own, or no VK_EXT_external_memory_host";
    const std::string path = (folder_ / "weights").string();
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes_.data()),
               static_cast<std::streamsize>(bytes_.size()));
    file_ = ::open(path.c_str(), O_RDONLY);
  }
  void TearDown() override {
    if (data_ != nullptr) munmap(data_, bytes_.size());
    if (file_ >= 0) close(file_);
    OnVulkan::TearDown();
  }
  std::span<const std::byte> mapped(int flags) {
    data_ = static_cast<std::byte*>(mmap(nullptr, bytes_.size(), PROT_READ, flags, file_, 0));
    return {data_, bytes_.size()};
  }
  std::vector<std::byte> part(std::size_t first, std::size_t count) const {
    const auto begin = bytes_.begin() + static_cast<std::ptrdiff_t>(first);
    return {begin, begin + static_cast<std::ptrdiff_t>(count)};
  }

  std::vector<std::byte> bytes_ = numbered(3 * 4096 + 100);
  int file_ = -1;
  std::byte* data_ = nullptr;
};

TEST_F(VulkanImport, MappedFilesAreUsedInPlace) {
  for (const int flags : {MAP_SHARED, MAP_PRIVATE}) {
    const std::span<const std::byte> file = mapped(flags);
    const auto imported = device_->import_host(file.subspan(20, 5000));
    // A driver may refuse what the process may not write.
    if (!imported) GTEST_SKIP() << "SKIP: the driver imports no mapping that is read only";
    EXPECT_EQ(imported->kind(), MemoryKind::device);
    EXPECT_EQ(imported->bytes(), 5000U);
    EXPECT_EQ(device_->memory().ours, 0U);
    auto stream = compute();
    EXPECT_EQ(bytes_of(*stream, span(*imported)), part(20, 5000));
    EXPECT_EQ(bytes_of(*stream, span(*imported, 4777, 3)), part(20 + 4777, 3));
    munmap(data_, bytes_.size());
    data_ = nullptr;
  }
}

TEST_F(VulkanImport, NeighboursMaySharePages) {
  const std::span<const std::byte> file = mapped(MAP_PRIVATE);
  const auto a = device_->import_host(file.subspan(0, 5000));
  if (!a) GTEST_SKIP() << "SKIP: the driver imports no mapping that is read only";
  auto b = device_->import_host(file.subspan(5000, 3000));
  const auto c = device_->import_host(file.subspan(8000));
  ASSERT_TRUE(b && c);
  auto stream = compute();
  EXPECT_EQ(bytes_of(*stream, span(*b)), part(5000, 3000));
  b.reset();
  EXPECT_EQ(bytes_of(*stream, span(*a)), part(0, 5000));
  EXPECT_EQ(bytes_of(*stream, span(*c)), part(8000, bytes_.size() - 8000));
}

TEST_F(VulkanImport, WhatWordsCannotReadIsRefused) {
  const std::span<const std::byte> file = mapped(MAP_PRIVATE);
  EXPECT_FALSE(device_->import_host(file.subspan(1, 100)));
  EXPECT_FALSE(device_->import_host(file.subspan(4098, 100)));
  EXPECT_FALSE(device_->import_host({}));
}

}  // namespace
}  // namespace strata::vulkan
