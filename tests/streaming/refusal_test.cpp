// What the system refuses: the readers bring the same bytes by other means and say so.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <functional>
#include <vector>

#include "tests/streaming/reader_fixture.h"
#include "tests/streaming/refusals.h"

namespace strata {
namespace {

using testing::HasSubstr;

constexpr std::uint32_t kAllBits = ~std::uint32_t{0};

class Refusals : public test::ReaderTest {
 protected:
  /// Reads the whole file in three parts and looks at the bytes.
  void expect_reads(BlockReader& reader) {
    const std::uint64_t half = bytes_.size() / 2;
    const StreamUnit unit{{{0, 0, 100}, {0, 100, half - 100}, {0, half, bytes_.size() - half}}};
    std::vector<const std::byte*> places(unit.parts.size());
    const std::span<std::byte> slot = slot_for(unit);
    reader.prepare(std::vector<std::span<std::byte>>{slot});
    reader.read(unit, slot, places);
    expect_bytes(unit, places);
  }

  /// The share of the file's pages that is in the page cache.
  double cached_share() const {
    const std::span<const std::byte> bytes = file_->shards()[0].bytes();
    std::vector<unsigned char> pages((bytes.size() + test::kPage - 1) / test::kPage);
    auto* begin = const_cast<std::byte*>(bytes.data());
    EXPECT_EQ(::mincore(begin, bytes.size(), pages.data()), 0);
    double in_memory = 0;
    for (const unsigned char page : pages) in_memory += page & 1;
    return in_memory / static_cast<double>(pages.size());
  }

  void with(const test::Refusal& refusal, const std::function<void()>& body) {
    if (!test::with_refusal(refusal, body)) GTEST_SKIP() << "seccomp is not allowed here";
  }
};

TEST_F(Refusals, DirectReadsGoThroughTheCacheAndLeaveNothingThere) {
  const test::Refusal no_direct{
      .call = SYS_openat, .argument = 2, .mask = O_DIRECT, .value = O_DIRECT, .error = EINVAL};
  with(no_direct, [&] {
    // What is not on the disk yet cannot be dropped, nor what opening the model has mapped.
    file_->shards()[0].dont_need(0, bytes_.size());
    const int descriptor = ::open(path_.c_str(), O_RDONLY);
    ::fsync(descriptor);
    ::close(descriptor);
    const auto reader = open_reader(file_, ReadMethod::direct);
    EXPECT_EQ(reader->method(), ReadMethod::buffered);
    EXPECT_THAT(reader->note(), HasSubstr("past the page cache are refused (Invalid argument)"));
    expect_reads(*reader);
    EXPECT_LT(cached_share(), 0.01);
  });
}

TEST_F(Refusals, WithoutIoUringDirectReadsAreMadeOneByOne) {
  with({.call = SYS_io_uring_setup}, [&] {
    const auto reader = open_reader(file_, ReadMethod::direct);
    if (reader->method() != ReadMethod::direct) return;  // said by the test above
    EXPECT_THAT(reader->note(), HasSubstr("one by one"));
    expect_reads(*reader);
  });
  const auto reader = open_reader(file_, ReadMethod::direct, {.io_uring = false});
  EXPECT_EQ(reader->note(), "");
  expect_reads(*reader);
}

TEST_F(Refusals, AQueueThatBreaksIsReplacedByPlainReads) {
  with({.call = SYS_io_uring_enter}, [&] {
    const auto reader = open_reader(file_, ReadMethod::direct);
    expect_reads(*reader);
    expect_reads(*reader);
    EXPECT_NE(reader->note(), "");
  });
}

TEST_F(Refusals, SlotsNeedNotBeRegistered) {
  with({.call = SYS_io_uring_register, .error = ENOMEM}, [&] {
    const auto reader = open_reader(file_, ReadMethod::direct);
    expect_reads(*reader);
  });
}

TEST_F(Refusals, AMappingThatCannotBePopulatedIsRead) {
  with({.call = SYS_madvise, .argument = 2, .mask = kAllBits, .value = 22, .error = EINVAL}, [&] {
    const auto reader = open_reader(file_, ReadMethod::mapped);
    EXPECT_EQ(reader->note(), "");
    expect_reads(*reader);
    EXPECT_THAT(reader->note(), HasSubstr("cannot populate a mapping"));
  });
}

TEST_F(Refusals, ADiskThatFailsIsNamedWithTheOffset) {
  const std::uint32_t bad = 4 << 20;  // where the second piece of a buffered read begins
  with({.call = SYS_pread64, .argument = 3, .mask = kAllBits, .value = bad, .error = EIO}, [&] {
    for (const ReadMethod method : {ReadMethod::buffered, ReadMethod::direct}) {
      const auto reader = open_reader(file_, method, {.io_uring = false});
      EXPECT_EQ(failure(*reader, {{{0, 0, bad}}}), "none");
      EXPECT_THAT(failure(*reader, {{{0, 0, bytes_.size()}}}),
                  HasSubstr("first block of 4096 bytes that fails is at offset 4194304"));
      EXPECT_EQ(reader->stats().retries, 3U);
    }
  });
}

}  // namespace
}  // namespace strata
