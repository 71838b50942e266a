// The staging ring: order, bounds, errors and stopping, with readers that are played.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/streaming/staging_ring.h"
#include "tests/streaming/played_reader.h"
#include "tests/support/allocation_counter.h"

namespace strata {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using test::make_sweep;
using test::PlayedReader;
using test::Slots;

constexpr std::uint64_t kPage = test::kPageBytes;

std::uint64_t offset_in(const StagingRing::Taken& taken, std::size_t part) {
  std::uint64_t offset = 0;
  std::memcpy(&offset, taken.parts[part], sizeof(offset));
  return offset;
}

void expect_unit(const StagingRing::Taken& taken, std::size_t unit,
                 const std::vector<StreamUnit>& sweep) {
  ASSERT_EQ(taken.unit, unit);
  ASSERT_EQ(taken.parts.size(), sweep[unit].parts.size());
  for (std::size_t i = 0; i < taken.parts.size(); ++i)
    ASSERT_EQ(offset_in(taken, i), sweep[unit].parts[i].offset);
}

Error taking_throws(StagingRing& ring) {
  try {
    ring.take();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "take() threw nothing";
  return {ErrorCode::runtime, "", ""};
}

TEST(StagingRing, GivesUnitsInOrderSweepAfterSweep) {
  const std::vector<StreamUnit> sweep = make_sweep(7);
  for (const std::size_t slot_count : {1, 2, 3, 5, 16}) {
    for (const int threads : {1, 2, 4}) {
      SCOPED_TRACE(testing::Message() << slot_count << " slots, " << threads << " threads");
      std::atomic<unsigned> number{0};
      PlayedReader reader([&](std::uint64_t, const std::stop_token&) {
        if (number.fetch_add(7) % 3 == 0) std::this_thread::yield();
      });
      const Slots slots(slot_count, 3 * kPage);
      StagingRing ring(reader, sweep, slots.spans(), threads);
      EXPECT_EQ(reader.prepared(), slot_count);
      std::mt19937 random(1);
      std::vector<std::uint32_t> held;
      for (std::size_t i = 0; i < 100; ++i) {
        const StagingRing::Taken taken = ring.take();
        expect_unit(taken, i % sweep.size(), sweep);
        held.push_back(taken.slot);
        while (!held.empty() && (held.size() == slot_count || random() % 2 == 0)) {
          std::swap(held[random() % held.size()], held.back());
          ring.give_back(held.back());
          held.pop_back();
        }
      }
      EXPECT_EQ(ring.stats().units, 100U);
      EXPECT_GE(reader.sweeps(), 15);
    }
  }
}

TEST(StagingRing, ReadsAheadAsFarAsItsSlotsGoAndNoFurther) {
  const std::vector<StreamUnit> sweep = make_sweep(4);
  PlayedReader reader;
  const Slots slots(3, 3 * kPage);
  StagingRing ring(reader, sweep, slots.spans(), 2);
  while (reader.begun() < 3) std::this_thread::yield();
  while (ring.stats().reader_waits < 2) std::this_thread::yield();
  EXPECT_EQ(reader.begun(), 3);
  const StagingRing::Taken first = ring.take();
  EXPECT_EQ(reader.begun(), 3) << "a slot that is taken is not filled";
  ring.give_back(first.slot);
  while (reader.begun() < 4) std::this_thread::yield();
  EXPECT_EQ(ring.stats().bytes, sweep[0].bytes());
}

TEST(StagingRing, TryTakeNeverWaits) {
  const std::vector<StreamUnit> sweep = make_sweep(3);
  std::atomic<bool> open{false};
  PlayedReader reader([&](std::uint64_t, const std::stop_token&) {
    while (!open.load()) std::this_thread::yield();
  });
  const Slots slots(2, 3 * kPage);
  StagingRing ring(reader, sweep, slots.spans(), 2);
  EXPECT_FALSE(ring.try_take().has_value());
  open.store(true);
  expect_unit(ring.take(), 0, sweep);
  std::optional<StagingRing::Taken> second;
  while (!(second = ring.try_take())) std::this_thread::yield();
  expect_unit(*second, 1, sweep);
  EXPECT_FALSE(ring.try_take().has_value());
}

TEST(StagingRing, AnErrorComesOnceInOrderAndRestartMendsIt) {
  const std::vector<StreamUnit> sweep = make_sweep(6);
  std::atomic<bool> broken{true};
  PlayedReader reader([&](std::uint64_t offset, const std::stop_token&) {
    if (offset == 3 * 4 * kPage && broken.load())
      throw Error(ErrorCode::io, "disk", "unit three is unreadable");
  });
  const Slots slots(5, 3 * kPage);
  StagingRing ring(reader, sweep, slots.spans(), 3);
  std::vector<std::uint32_t> held;
  for (std::size_t unit = 0; unit < 3; ++unit) {
    const StagingRing::Taken taken = ring.take();
    expect_unit(taken, unit, sweep);
    held.push_back(taken.slot);
  }
  const Error error = taking_throws(ring);
  EXPECT_EQ(error.code(), ErrorCode::io);
  EXPECT_STREQ(error.what(), "disk: unit three is unreadable");
  EXPECT_THAT(taking_throws(ring).what(), HasSubstr("restart() was not called"));
  EXPECT_THROW(ring.try_take(), Error);

  broken.store(false);
  ring.restart();
  for (std::size_t unit = 0; unit < 2; ++unit) {  // two slots are free: three are still held
    const StagingRing::Taken taken = ring.take();
    expect_unit(taken, unit, sweep);
    held.push_back(taken.slot);
  }
  EXPECT_THAT(taking_throws(ring).what(), HasSubstr("all 5 slots are taken"));
  for (const std::uint32_t slot : held) ring.give_back(slot);
  for (std::size_t i = 2; i < 20; ++i) {
    const StagingRing::Taken taken = ring.take();
    expect_unit(taken, i % sweep.size(), sweep);
    ring.give_back(taken.slot);
  }
  EXPECT_EQ(ring.stats().restarts, 1U);
}

// The disk was away while nobody waited for it: that is nobody's failure.
TEST(StagingRing, WhatCouldNotBeReadAheadIsReadAgainWhenItIsWanted) {
  const std::vector<StreamUnit> sweep = make_sweep(6);
  for (const int threads : {1, 3}) {
    std::atomic<bool> broken{true};
    std::atomic<int> failures{0};
    PlayedReader reader([&](std::uint64_t offset, const std::stop_token&) {
      if (offset < 2 * 4 * kPage || !broken.load()) return;
      failures.fetch_add(1);
      throw Error(ErrorCode::io, "disk", "is away");
    });
    const Slots slots(5, 3 * kPage);
    StagingRing ring(reader, sweep, slots.spans(), threads);
    while (failures.load() == 0) std::this_thread::yield();
    for (std::size_t unit = 0; unit < 2; ++unit) {
      const StagingRing::Taken taken = ring.take();
      expect_unit(taken, unit, sweep);
      ring.give_back(taken.slot);
    }
    EXPECT_FALSE(ring.try_take().has_value()) << "what failed is not there";
    broken.store(false);
    for (std::size_t i = 2; i < 30; ++i) {
      const StagingRing::Taken taken = ring.take();
      expect_unit(taken, i % sweep.size(), sweep);
      ring.give_back(taken.slot);
    }
    EXPECT_GE(ring.stats().read_again, 1U);
    EXPECT_EQ(ring.stats().restarts, 0U);
    EXPECT_EQ(ring.stats().units, 30U);
  }
}

TEST(StagingRing, RestartDropsReadsUnderWay) {
  const std::vector<StreamUnit> sweep = make_sweep(5);
  std::atomic<int> round{0};
  std::atomic<bool> open{false};
  PlayedReader reader([&](std::uint64_t offset, const std::stop_token&) {
    const int mine = round.load();
    if (mine == 0 && offset == 0) {
      while (!open.load()) std::this_thread::yield();
      throw Error(ErrorCode::io, "disk", "of the time before the restart");
    }
  });
  const Slots slots(3, 3 * kPage);
  StagingRing ring(reader, sweep, slots.spans(), 2);
  while (reader.begun() < 3) std::this_thread::yield();  // unit 0 hangs, 1 and 2 are there
  round.store(1);
  ring.restart();
  expect_unit(ring.take(), 0, sweep);
  open.store(true);
  for (std::size_t i = 1; i < 12; ++i) {
    const StagingRing::Taken taken = ring.take();
    expect_unit(taken, i % sweep.size(), sweep);
    ring.give_back(taken.slot);
  }
}

TEST(StagingRing, StopsInTheMiddleOfARead) {
  const std::vector<StreamUnit> sweep = make_sweep(3);
  std::atomic<int> stopped{0};
  PlayedReader reader([&](std::uint64_t, const std::stop_token& stop) {
    while (!stop.stop_requested()) std::this_thread::yield();
    stopped.fetch_add(1);
  });
  const Slots slots(3, 3 * kPage);
  {
    StagingRing ring(reader, sweep, slots.spans(), 2);
    while (reader.begun() < 2) std::this_thread::yield();
  }
  EXPECT_EQ(stopped.load(), 2);
}

TEST(StagingRing, StopsAtAnyMoment) {
  const std::vector<StreamUnit> sweep = make_sweep(3);
  PlayedReader reader;
  const Slots slots(3, 3 * kPage);
  for (int takes = 0; takes < 60; ++takes) {
    StagingRing ring(reader, sweep, slots.spans(), 3);
    for (int i = 0; i < takes % 7; ++i) ring.give_back(ring.take().slot);
    if (takes % 5 == 0) ring.restart();
  }
}

TEST(StagingRing, EveryFailureIsAnError) {
  const std::vector<StreamUnit> sweep = make_sweep(2);
  PlayedReader reader(
      [](std::uint64_t, const std::stop_token&) { throw std::runtime_error("no luck"); });
  const Slots slots(2, 3 * kPage);
  StagingRing ring(reader, sweep, slots.spans(), 2);
  const Error error = taking_throws(ring);
  EXPECT_EQ(error.code(), ErrorCode::runtime);
  EXPECT_THAT(error.what(), HasSubstr("no luck"));
}

TEST(StagingRing, RefusesSlotsThatDoNotFit) {
  const std::vector<StreamUnit> sweep = make_sweep(3);
  PlayedReader reader;
  const auto refusal = [&](std::span<const StreamUnit> units,
                           std::vector<std::span<std::byte>> slots) -> std::string {
    try {
      const StagingRing ring(reader, units, std::move(slots), 1);
    } catch (const Error& error) {
      return error.what();
    }
    return "none";
  };
  const Slots small(2, 2 * kPage);
  const Slots good(2, 4 * kPage);
  EXPECT_THAT(refusal(sweep, small.spans()), HasSubstr("needs 12288 bytes, and a slot has 8192"));
  EXPECT_THAT(refusal(sweep, {good.spans()[0].subspan(64)}), HasSubstr("not aligned"));
  EXPECT_THAT(refusal(sweep, {}), HasSubstr("3 units and 0 slots"));
  EXPECT_THAT(refusal({}, good.spans()), HasSubstr("0 units and 2 slots"));
  StagingRing ring(reader, sweep, good.spans(), 1);
  EXPECT_THROW(ring.give_back(2), Error);
  const StagingRing::Taken taken = ring.take();
  ring.give_back(taken.slot);
  EXPECT_THROW(ring.give_back(taken.slot), Error);
}

TEST(StagingRing, AllocatesNothingOnceItRuns) {
  const std::vector<StreamUnit> sweep = make_sweep(5);
  PlayedReader reader;
  const Slots slots(3, 3 * kPage);
  StagingRing ring(reader, sweep, slots.spans(), 2);
  ring.give_back(ring.take().slot);
  const std::size_t before = test::allocation_count();
  for (int i = 0; i < 200; ++i) ring.give_back(ring.take().slot);
  EXPECT_EQ(test::allocation_count(), before);
}

}  // namespace
}  // namespace strata
