// The readers: the same bytes by every method, and what happens when the file or the disk fails.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/streaming/block_reader.h"
#include "runtime/streaming/reader_retry.h"
#include "tests/streaming/reader_fixture.h"

namespace strata {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

using test::kMethods;
using test::kPage;

class Readers : public test::ReaderTest {};

TEST_F(Readers, BringTheSameBytesByEveryMethod) {
  const std::uint64_t end = bytes_.size();
  const std::vector<StreamUnit> units = {
      {{{0, 0, 1}}},
      {{{0, end - 1, 1}}},
      {{{0, 4095, 2}}},
      {{{0, 4096, 4096}, {0, 100, 50}}},
      {{{0, 1000, 5 << 20}, {0, 7 << 20, (1 << 20) + 17}, {0, end - 5000, 5000}}},
      {{{0, 0, end}}},
  };
  for (const ReadMethod method : kMethods) {
    for (const bool drop_behind : {false, true}) {
      SCOPED_TRACE(method_name(method));
      const auto reader = open_reader(file_, method, {.drop_behind = drop_behind});
      std::uint64_t sum = 0;
      for (const StreamUnit& unit : units) {
        std::vector<const std::byte*> places(unit.parts.size());
        reader->read(unit, slot_for(unit), places);
        expect_bytes(unit, places);
        sum += unit.bytes();
      }
      EXPECT_EQ(reader->stats().units, units.size());
      EXPECT_EQ(reader->stats().bytes, sum);
      EXPECT_GE(reader->stats().system_bytes, sum);
      EXPECT_EQ(reader->stats().retries, 0U);
      EXPECT_GT(reader->stats().seconds, 0);
    }
  }
}

TEST_F(Readers, ReadFilesThatAreInMemoryAlready) {
  file_ = ModelFile::open(path_, {.mlock = false, .no_mmap = true});
  fs::resize_file(path_, 100);  // nobody looks at it any more
  const StreamUnit unit{{{0, 1000, 5 << 20}}};
  for (const ReadMethod method : kMethods) {
    const auto reader = open_reader(file_, method);
    const std::byte* place = nullptr;
    reader->begin_sweep();
    reader->read(unit, slot_for(unit), {&place, 1});
    expect_bytes(unit, {&place, 1});
  }
}

TEST_F(Readers, SayWhatASlotNeeds) {
  EXPECT_EQ(BlockReader::slot_bytes(StreamUnit{{{0, 0, 4096}}}), 4096U);
  EXPECT_EQ(BlockReader::slot_bytes(StreamUnit{{{0, 1, 4096}}}), 8192U);
  EXPECT_EQ(BlockReader::slot_bytes(StreamUnit{{{0, 4095, 2}, {0, 5000, 1}}}), 3 * 4096U);
  const auto reader = open_reader(file_, ReadMethod::buffered);
  const std::byte* place = nullptr;
  const StreamUnit unit{{{0, 1, 4096}}};
  EXPECT_THROW(reader->read(unit, slot_for(unit).first(4096), {&place, 1}), Error);
}

TEST_F(Readers, StopBetweenPieces) {
  const StreamUnit unit{{{0, 0, bytes_.size()}}};
  std::stop_source stop;
  stop.request_stop();
  for (const ReadMethod method : kMethods) {
    const auto reader = open_reader(file_, method);
    const std::byte* place = nullptr;
    const std::span<std::byte> slot = slot_for(unit);
    reader->read(unit, slot, {&place, 1}, stop.get_token());
    EXPECT_EQ(slot[0], std::byte{0x5a}) << "nothing was read";
  }
}

TEST_F(Readers, NameAFileThatWasCutShort) {
  std::vector<std::unique_ptr<BlockReader>> readers;
  for (const ReadMethod method : kMethods) readers.push_back(open_reader(file_, method));
  const std::uint64_t size = bytes_.size();
  // In the middle of a page, whose rest then reads as zeros, and at a page border.
  for (const std::uint64_t left : {(std::uint64_t{5} << 20) + 100, std::uint64_t{4} << 20}) {
    ASSERT_EQ(::truncate(path_.c_str(), static_cast<off_t>(left)), 0);
    for (const auto& reader : readers) {
      SCOPED_TRACE(method_name(reader->method()));
      for (const StreamUnit& unit :
           {StreamUnit{{{0, 1000, size - 1000}}}, StreamUnit{{{0, left - 10, 11}}},
            StreamUnit{{{0, 8 << 20, 1 << 20}}}}) {
        EXPECT_THAT(failure(*reader, unit), HasSubstr("ends at byte " + std::to_string(left)));
      }
      EXPECT_EQ(failure(*reader, {{{0, left - 10, 10}}}), "none");
      EXPECT_THAT(sweep_failure(*reader),
                  HasSubstr("had " + std::to_string(size) + " bytes when it was opened, and has " +
                            std::to_string(left) + " now"));
    }
  }
}

TEST_F(Readers, NameAFileThatWasReplacedOrWrittenTo) {
  for (const ReadMethod method : kMethods) {
    const fs::path other = folder_.write("other.gguf", bytes_);
    file_ = ModelFile::open(path_);
    const auto reader = open_reader(file_, method);
    EXPECT_EQ(sweep_failure(*reader), "none");
    fs::rename(other, path_);
    EXPECT_THAT(sweep_failure(*reader), HasSubstr("replaced by another file"));
    EXPECT_THROW(open_reader(file_, method), Error) << "it is not what was mapped";
    fs::remove(path_);
    EXPECT_EQ(sweep_failure(*reader), "none") << "the open file is whole";
    path_ = folder_.write("model.gguf", bytes_);
  }
  file_ = ModelFile::open(path_);
  const auto reader = open_reader(file_, ReadMethod::buffered);
  const timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, {.tv_sec = 1000, .tv_nsec = 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path_.c_str(), times, 0), 0);
  EXPECT_THAT(sweep_failure(*reader), HasSubstr("was written to"));
}

/// A disk of 1 MiB that answers as told.
struct PlayedDisk {
  static constexpr std::uint64_t kSize = 1 << 20;
  std::uint64_t bad_offset = ~std::uint64_t{0};  ///< the byte that cannot be read
  int bad_times = 1 << 30;                       ///< how often it fails
  std::uint64_t most = kSize;                    ///< most bytes a read brings
  std::uint64_t size = kSize;
  int calls = 0;

  static std::int64_t read(const void* context, std::byte* to, std::uint64_t bytes,
                           std::uint64_t offset) {
    auto& disk = *static_cast<PlayedDisk*>(const_cast<void*>(context));
    ++disk.calls;
    if (offset >= disk.size) return 0;
    bytes = std::min({bytes, disk.most, disk.size - offset});
    if (offset <= disk.bad_offset && disk.bad_offset < offset + bytes && disk.bad_times-- > 0)
      return -EIO;
    for (std::uint64_t i = 0; i < bytes; ++i) to[i] = std::byte((offset + i) % 251);
    return static_cast<std::int64_t>(bytes);
  }
};

struct Outcome {
  std::string error = "none";
  std::uint64_t retries = 0;
  bool right = true;
};

Outcome read_disk(PlayedDisk& disk, ReadGoal goal, std::uint64_t step = 1) {
  const fs::path path = "/models/played.gguf";
  std::atomic<std::uint64_t> retries{0};
  std::vector<std::byte> to(goal.bytes);
  Outcome outcome;
  try {
    read_carefully({.attempt = PlayedDisk::read, .context = &disk, .path = &path, .step = step},
                   goal, to.data(), retries);
    for (std::uint64_t i = 0; i < goal.needed; ++i)
      outcome.right = outcome.right && to[i] == std::byte((goal.offset + i) % 251);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::io);
    outcome.error = error.what();
  }
  outcome.retries = retries;
  return outcome;
}

TEST(CarefulRead, PutsShortReadsTogether) {
  for (const std::uint64_t step : {std::uint64_t{1}, kPage}) {
    PlayedDisk disk{.most = 10'000};
    const Outcome outcome = read_disk(disk, {8192, 100 * kPage, 100 * kPage}, step);
    EXPECT_EQ(outcome.error, "none");
    EXPECT_TRUE(outcome.right);
    EXPECT_EQ(outcome.retries, 0U);
  }
}

TEST(CarefulRead, TriesThreeTimesAgain) {
  PlayedDisk disk{.bad_offset = 50'000, .bad_times = 3};
  const Outcome outcome = read_disk(disk, {0, 100'000, 100'000});
  EXPECT_EQ(outcome.error, "none");
  EXPECT_TRUE(outcome.right);
  EXPECT_EQ(outcome.retries, 3U);
}

TEST(CarefulRead, NamesTheFirstBadBlock) {
  for (const std::uint64_t bad :
       {std::uint64_t{0}, std::uint64_t{4095}, std::uint64_t{300'001}, std::uint64_t{819'199}}) {
    PlayedDisk disk{.bad_offset = bad};
    const Outcome outcome = read_disk(disk, {0, 819'200, 819'200});
    EXPECT_THAT(outcome.error, HasSubstr("/models/played.gguf: cannot read 819200 bytes at offset "
                                         "0: Input/output error"));
    EXPECT_THAT(outcome.error, HasSubstr("4096 bytes that fails is at offset " +
                                         std::to_string(bad / kPage * kPage)));
    EXPECT_EQ(outcome.retries, 3U);
    EXPECT_LE(disk.calls, 4 + 8) << "halving 200 blocks";
  }
}

TEST(CarefulRead, NeedsOnlyWhatTheFileHas) {
  PlayedDisk disk{.size = 3 * kPage + 10};
  EXPECT_EQ(read_disk(disk, {kPage, 3 * kPage, 2 * kPage + 10}, kPage).error, "none");
  const Outcome outcome = read_disk(disk, {kPage, 3 * kPage, 2 * kPage + 11}, kPage);
  EXPECT_THAT(outcome.error, HasSubstr("ends before byte 12299: it was cut short"));
  EXPECT_EQ(outcome.retries, 3U);
}

}  // namespace
}  // namespace strata
