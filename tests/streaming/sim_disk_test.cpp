// The disk of a simulated device: a ring whose reads take virtual time, whatever time they take.
#include "backends/sim_disk/sim_disk.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "runtime/streaming/staging_ring.h"
#include "tests/streaming/played_reader.h"

namespace strata::test {
namespace {

using sim::DiskOptions;
using sim::SimDisk;
using sim::VirtualClock;

constexpr std::int64_t kUnit = kPageBytes;  // bytes of a unit, and nanoseconds at 1 GB/s
constexpr std::int64_t kLatency = 50;

std::vector<StreamUnit> one_page_units(std::size_t count) {
  std::vector<StreamUnit> sweep(count);
  for (std::size_t i = 0; i < count; ++i)
    sweep[i].parts = {{.shard = 0, .offset = i * kPageBytes, .bytes = kPageBytes}};
  return sweep;
}

/// A ring over a disk of 1 GB/s.
struct DiskRing {
  explicit DiskRing(std::size_t slot_count, DiskOptions options = {}, int threads = 2,
                    PlayedReader::Before before = nullptr)
      : slots(slot_count, kPageBytes), sweep(one_page_units(5)) {
    options.speed.bytes_per_second = 1e9;
    if (options.speed.latency_ns == 0) options.speed.latency_ns = kLatency;
    disk = std::make_unique<SimDisk>(std::make_unique<PlayedReader>(std::move(before)), clock,
                                     options);
    ring = std::make_unique<StagingRing>(*disk, sweep, slots.spans(), threads);
  }
  std::int64_t now() const { return clock.host_ns(); }

  VirtualClock clock;
  Slots slots;
  std::vector<StreamUnit> sweep;
  std::unique_ptr<SimDisk> disk;
  std::unique_ptr<StagingRing> ring;
};

TEST(SimDisk, UnitsComeAtItsSpeedOneAfterTheOther) {
  DiskRing rig(3);
  for (std::int64_t i = 0; i < 12; ++i) {
    const StagingRing::Taken taken = rig.ring->take();
    EXPECT_EQ(taken.unit, i % 5);
    EXPECT_EQ(rig.now(), (i + 1) * kUnit + kLatency);
    rig.ring->give_back(taken.slot);
  }
  EXPECT_EQ(rig.ring->stats().io_wait_ns, static_cast<std::uint64_t>(rig.now()));
}

TEST(SimDisk, AReadBeginsWhenItsSlotIsFree) {
  DiskRing rig(1);
  std::int64_t begin = 0;
  for (int i = 0; i < 8; ++i) {
    const StagingRing::Taken taken = rig.ring->take();
    EXPECT_EQ(rig.now(), begin + kUnit + kLatency);
    rig.clock.spend(1000);
    rig.ring->give_back(taken.slot);
    begin = rig.now();
  }
}

TEST(SimDisk, LatenciesOverlapAsFarAsReadsDo) {
  for (const int at_once : {1, 2}) {
    DiskRing rig(4, {.speed = {.latency_ns = 3 * kUnit}, .reads_at_once = at_once});
    std::vector<std::int64_t> times;
    for (int i = 0; i < 4; ++i) {
      rig.ring->give_back(rig.ring->take().slot);
      times.push_back(rig.now());
    }
    // One by one; or two side by side, of which the second waits for the bytes of the first.
    const std::vector<std::int64_t> want = at_once == 1 ? std::vector<std::int64_t>{4, 8, 12, 16}
                                                        : std::vector<std::int64_t>{4, 5, 8, 9};
    for (std::size_t i = 0; i < want.size(); ++i) EXPECT_EQ(times[i], want[i] * kUnit) << i;
  }
}

TEST(SimDisk, NothingIsThereBeforeItsTime) {
  DiskRing rig(2);
  rig.clock.spend(kUnit + kLatency - 1);
  EXPECT_FALSE(rig.ring->try_take().has_value());
  rig.clock.spend(1);
  EXPECT_TRUE(rig.ring->try_take().has_value());
  EXPECT_FALSE(rig.ring->try_take().has_value());
  rig.clock.spend(kUnit);
  EXPECT_TRUE(rig.ring->try_take().has_value());
  EXPECT_EQ(rig.ring->stats().io_wait_ns, 0U);
}

TEST(SimDisk, ARestartWaitsForReadsUnderWay) {
  DiskRing rig(3);
  rig.clock.spend(1000);
  rig.ring->restart(4);
  EXPECT_EQ(rig.ring->take().unit, 4U);
  EXPECT_EQ(rig.now(), 4 * kUnit + kLatency);
  EXPECT_EQ(rig.ring->take().unit, 0U);
  EXPECT_EQ(rig.now(), 5 * kUnit + kLatency);
}

TEST(SimDisk, ARestartDoesNotTakeASlotFromARead) {
  DiskRing rig(1);
  rig.clock.spend(1000);
  rig.ring->restart(2);
  EXPECT_EQ(rig.ring->take().unit, 2U);
  EXPECT_EQ(rig.now(), 2 * (kUnit + kLatency));
}

TEST(SimDisk, SaysWhatItHasDone) {
  DiskRing rig(3);
  EXPECT_EQ(rig.disk->now().busy_ns, 0);
  rig.clock.spend(2 * kUnit + 7);
  EXPECT_EQ(rig.disk->now().busy_ns, 2 * kUnit + 7);
  EXPECT_EQ(rig.disk->now().reads, 3U);
  rig.clock.spend(10 * kUnit);
  EXPECT_EQ(rig.disk->now().busy_ns, 3 * kUnit) << "there are three slots";
}

// When a consumer that works and holds slots at random gets its units, with jitter.
std::vector<std::int64_t> times_of(int threads, unsigned real_delay) {
  std::atomic<unsigned> number{0};
  const auto delay = [&](std::uint64_t, const std::stop_token&) {
    for (unsigned n = number.fetch_add(7) * real_delay % 50; n > 0; --n) std::this_thread::yield();
  };
  DiskRing rig(4, {.speed = {.jitter = 0.5}, .reads_at_once = 3, .seed = 5}, threads, delay);
  std::mt19937 random(3);
  std::vector<std::uint32_t> held;
  std::vector<std::int64_t> times;
  for (int i = 0; i < 200; ++i) {
    rig.clock.spend(random() % (2 * kUnit));
    if (random() % 20 == 0 && held.empty())
      rig.ring->restart(static_cast<std::uint32_t>(random() % 5));
    std::optional<StagingRing::Taken> taken;
    if (random() % 2 == 0) taken = rig.ring->try_take();
    if (!taken) taken = rig.ring->take();
    times.push_back(rig.now() * 8 + taken->unit);
    held.push_back(taken->slot);
    while (!held.empty() && (held.size() == 4 || random() % 2 == 0)) {
      rig.ring->give_back(held.back());
      held.pop_back();
    }
  }
  times.push_back(rig.disk->now().busy_ns);
  return times;
}

TEST(SimDisk, TimesDoNotDependOnWhatThreadsDo) {
  const std::vector<std::int64_t> first = times_of(1, 0);
  for (const int threads : {1, 2, 4})
    for (const unsigned delay : {0U, 1U, 13U}) EXPECT_EQ(times_of(threads, delay), first);
}

}  // namespace
}  // namespace strata::test
