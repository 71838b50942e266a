#include "runtime/streaming/read_crew.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <cstring>
#include <mutex>

#include "runtime/core/error.h"

namespace strata::test {
namespace {

// Every byte of a part is the part's offset; units at 1000 and above cannot be read. With
// `together` > 0 so many reads wait for each other.
class NumberReader final : public BlockReader {
 public:
  explicit NumberReader(std::ptrdiff_t together = 1) : together_(together) {}
  void read(const StreamUnit& unit, std::span<std::byte> slot, std::span<const std::byte*> places,
            std::stop_token) override {
    await_others();
    std::size_t at = 0;
    for (std::size_t i = 0; i < unit.parts.size(); ++i) {
      const FileRange& part = unit.parts[i];
      if (part.offset >= 1000) throw Error(ErrorCode::io, "numbers", "there are fewer than 1000");
      std::memset(slot.data() + at, static_cast<int>(part.offset), part.bytes);
      places[i] = slot.data() + at;
      at += part.bytes;
    }
  }
  ReaderStats stats() const override { return {}; }

 private:
  // A std::barrier would do, but ThreadSanitizer reports libstdc++ 12's.
  void await_others() {
    std::unique_lock lock(mutex_);
    const std::ptrdiff_t round = arrived_++ / together_;
    all_here_.notify_all();
    all_here_.wait(lock, [&] { return arrived_ >= (round + 1) * together_; });
  }

  const std::ptrdiff_t together_;
  std::mutex mutex_;
  std::condition_variable all_here_;
  std::ptrdiff_t arrived_ = 0;
};

StreamUnit unit_at(std::uint64_t offset) { return {{{0, offset, 100}, {0, offset + 1, 50}}}; }

class Slots {
 public:
  explicit Slots(std::size_t count) : memory_(count * 256) {}
  std::vector<std::span<std::byte>> spans() {
    std::vector<std::span<std::byte>> all;
    for (std::size_t at = 0; at < memory_.size(); at += 256)
      all.push_back(std::span(memory_).subspan(at, 256));
    return all;
  }

 private:
  std::vector<std::byte> memory_;
};

void expect_unit(ReadCrew& crew, std::size_t slot, std::uint64_t offset) {
  const std::span<const std::byte* const> places = crew.finish(slot);
  ASSERT_EQ(places.size(), 2u);
  for (std::size_t i = 0; i < 2; ++i)
    for (std::size_t b = 0; b < (i == 0 ? 100u : 50u); ++b)
      ASSERT_EQ(std::to_integer<std::uint64_t>(places[i][b]), offset + i);
}

TEST(ReadCrew, ReadsIntoTheSlotsThatWereNamed) {
  for (const int threads : {0, 1, 3}) {
    NumberReader reader;
    Slots slots(4);
    ReadCrew crew(reader, slots.spans(), threads);
    ASSERT_EQ(crew.slots(), 4u);
    std::vector<StreamUnit> units;
    for (std::uint64_t i = 0; i < 4; ++i) units.push_back(unit_at(i * 10));
    for (int round = 0; round < 200; ++round) {
      for (std::size_t i = 0; i < 4; ++i) crew.start(3 - i, units[i]);
      for (std::size_t i = 0; i < 4; ++i) expect_unit(crew, 3 - i, i * 10);
    }
  }
}

// Three reads that wait for each other end only where three are done at a time.
TEST(ReadCrew, ReadsSeveralUnitsAtATime) {
  NumberReader reader(3);
  Slots slots(3);
  ReadCrew crew(reader, slots.spans(), 3);
  const StreamUnit unit = unit_at(7);
  for (std::size_t i = 0; i < 3; ++i) crew.start(i, unit);
  for (std::size_t i = 0; i < 3; ++i) expect_unit(crew, i, 7);
}

TEST(ReadCrew, AnErrorBelongsToItsSlot) {
  for (const int threads : {0, 2}) {
    NumberReader reader;
    Slots slots(3);
    ReadCrew crew(reader, slots.spans(), threads);
    const StreamUnit good = unit_at(7);
    const StreamUnit bad = unit_at(2000);
    for (int round = 0; round < 50; ++round) {
      crew.start(0, good);
      crew.start(1, bad);
      crew.start(2, bad);
      expect_unit(crew, 0, 7);
      EXPECT_THROW(crew.finish(1), Error);
      crew.abandon(2);
      crew.start(1, good);
      expect_unit(crew, 1, 7);
    }
  }
}

}  // namespace
}  // namespace strata::test
