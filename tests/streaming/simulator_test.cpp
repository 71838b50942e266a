#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/streaming/sweep_simulator.h"

namespace strata {
namespace {

using Launches = std::vector<SimLaunch>;

Launches repeated(std::size_t count, const SimLaunch& launch) { return Launches(count, launch); }

SimLaunch resident(std::int64_t compute_ns) {
  SimLaunch launch;
  launch.compute_ns = compute_ns;
  return launch;
}

SimLaunch on_cpu(std::int64_t compute_ns) {
  SimLaunch launch = resident(compute_ns);
  launch.on_cpu = true;
  return launch;
}

SimLaunch pinned(std::int64_t copy_ns, std::int64_t compute_ns) {
  SimLaunch launch = resident(compute_ns);
  launch.source = SimSource::host;
  launch.copy_ns = copy_ns;
  return launch;
}

SimLaunch from_disk(std::int64_t read_ns, std::int64_t copy_ns, std::int64_t compute_ns) {
  SimLaunch launch = pinned(copy_ns, compute_ns);
  launch.source = SimSource::disk;
  launch.read_ns = read_ns;
  return launch;
}

SimSettings with_slots(int slots, int ring_slots = 4) {
  SimSettings settings;
  settings.slots = slots;
  settings.ring_slots = ring_slots;
  return settings;
}

TEST(SweepSimulator, ResidentLaunchesTakeTheirOwnTime) {
  SimSettings settings = with_slots(2);
  settings.between_ns = 7;
  const SimResult result = simulate_sweeps(Launches{resident(10), resident(20)}, settings);
  EXPECT_EQ(result.sweep_ns, 37);
  EXPECT_EQ(result.first_sweep_ns, 37);
  EXPECT_EQ(result.device_busy_ns, 30);
  EXPECT_EQ(result.compute_stall_ns, 0);
}

TEST(SweepSimulator, TransferBoundSweepsTakeTheirCopies) {
  // Copies are back to back, also over the end of a sweep; each op waits 90 of 100.
  const SimResult result = simulate_sweeps(repeated(4, pinned(100, 10)), with_slots(2));
  EXPECT_EQ(result.first_sweep_ns, 410);
  EXPECT_EQ(result.sweep_ns, 400);
  EXPECT_EQ(result.copy_busy_ns, 400);
  EXPECT_EQ(result.compute_stall_ns, 360);
}

TEST(SweepSimulator, ComputeBoundSweepsTakeTheirOps) {
  const SimResult result = simulate_sweeps(repeated(4, pinned(10, 100)), with_slots(2));
  EXPECT_EQ(result.first_sweep_ns, 410);
  EXPECT_EQ(result.sweep_ns, 400);
  EXPECT_EQ(result.compute_stall_ns, 0);
  // Of each 100 the engine copies for 10 and waits for a free slot.
  EXPECT_EQ(result.copy_stall_ns, 360);
}

TEST(SweepSimulator, OneSlotCopiesAndComputesInTurn) {
  const SimResult result = simulate_sweeps(repeated(4, pinned(100, 50)), with_slots(1));
  EXPECT_EQ(result.sweep_ns, 4 * 150);
}

TEST(SweepSimulator, ASlotIsFreeOnceItsUnitIsPacked) {
  SimLaunch launch = pinned(100, 50);
  launch.pack_ns = 10;
  SimSettings settings = with_slots(1);
  EXPECT_EQ(simulate_sweeps(repeated(4, launch), settings).sweep_ns, 4 * 160);
  settings.free_after_pack = true;
  EXPECT_EQ(simulate_sweeps(repeated(4, launch), settings).sweep_ns, 4 * 110);
}

TEST(SweepSimulator, ReadsGoOnThroughTheSweepsEnd) {
  const SimResult result = simulate_sweeps(repeated(4, from_disk(100, 10, 10)), with_slots(2, 2));
  EXPECT_EQ(result.first_sweep_ns, 420);
  EXPECT_EQ(result.sweep_ns, 400);
  EXPECT_EQ(result.disk_busy_ns, 400);
  EXPECT_EQ(result.disk_stall_ns, 0);
}

TEST(SweepSimulator, ARingOfOneSlotReadsAndCopiesInTurn) {
  // Reads of 100, each after the copy of 10 before it. After the last one the executor's thread
  // waits for the op, 10 more, before it gives the slot back.
  const SimResult result = simulate_sweeps(repeated(4, from_disk(100, 10, 10)), with_slots(2, 1));
  EXPECT_EQ(result.first_sweep_ns, 450);
  EXPECT_EQ(result.sweep_ns, 450);
  EXPECT_EQ(result.disk_stall_ns, 50);
}

TEST(SweepSimulator, PinnedUnitsSkipTheRing) {
  // The disk has half of the sweep for each read.
  const Launches launches = {from_disk(100, 40, 1), pinned(40, 1), from_disk(100, 40, 1),
                             pinned(40, 1)};
  EXPECT_EQ(simulate_sweeps(launches, with_slots(3)).sweep_ns, 200);
}

TEST(SweepSimulator, CopiesRunWhileTheCpuComputes) {
  SimSettings settings = with_slots(2);
  settings.switch_ns = 5;
  // The copy of 100 is longer than CPU, device and two switches: 50 + 10 + 10.
  EXPECT_EQ(simulate_sweeps(Launches{on_cpu(50), pinned(100, 10)}, settings).sweep_ns, 100);
  EXPECT_EQ(simulate_sweeps(Launches{on_cpu(50), pinned(40, 10)}, settings).sweep_ns, 70);
}

TEST(SweepSimulator, OnlyFreeSlotsFillWhileTheCpuComputes) {
  // Four copies of 100 could run beside the CPU's 400, but only two slots are free: two more come
  // when the CPU has finished and their ops are enqueued.
  const Launches launches = {on_cpu(400), pinned(100, 1), pinned(100, 1), pinned(100, 1),
                             pinned(100, 1)};
  EXPECT_EQ(simulate_sweeps(launches, with_slots(2)).sweep_ns, 401 + 200 + 1);
  EXPECT_EQ(simulate_sweeps(launches, with_slots(4)).sweep_ns, 404);
}

TEST(SweepSimulator, UnifiedMemoryUsesTheRingInPlace) {
  SimSettings settings = with_slots(1, 2);
  settings.unified = true;
  const Launches launches = repeated(4, from_disk(100, 0, 30));
  EXPECT_EQ(simulate_sweeps(launches, settings).sweep_ns, 400);
  settings.ring_slots = 1;
  EXPECT_EQ(simulate_sweeps(launches, settings).sweep_ns, 4 * 130);
}

TEST(SweepSimulator, LatencyOfReadsOverlaps) {
  SimSettings settings = with_slots(2, 1);
  settings.read_latency_ns = 90;
  const Launches launches = repeated(40, from_disk(10, 1, 1));
  // In turn: latency, read and copy; the last op is waited for.
  EXPECT_EQ(simulate_sweeps(launches, settings).sweep_ns, 40 * 101 + 1);
  settings.ring_slots = 16;
  EXPECT_LE(simulate_sweeps(launches, settings).sweep_ns, 40 * 10 + 100);
}

// Copies of a fixed part and an exponential one of `jitter` times it on top, as streaming.md 4.2
// has them, computing equally long: what is lost to unevenness, in per cent.
double loss(int slots, double jitter) {
  constexpr std::size_t kLaunches = 2000;
  constexpr std::int64_t kNs = 100'000;
  SimSettings settings = with_slots(slots);
  settings.jitter = jitter / (1 + jitter);
  settings.sweeps = 11;
  const SimResult result = simulate_sweeps(repeated(kLaunches, pinned(kNs, kNs)), settings);
  return 100 * (result.sweep_ns / static_cast<double>(kLaunches * kNs) - 1);
}

TEST(SweepSimulator, LosesWhatTheReferenceLosesForFewSlots) {
  const double jitters[] = {0.1, 0.3, 1.0};
  const double expected[3][3] = {{3.4, 8.7, 18.9}, {0.4, 2.2, 8.0}, {0.2, 1.3, 5.1}};
  for (int slots = 2; slots <= 4; ++slots)
    for (int i = 0; i < 3; ++i)
      EXPECT_NEAR(loss(slots, jitters[i]), expected[slots - 2][i], 0.7)
          << slots << " slots, jitter " << jitters[i];
}

TEST(SweepSimulator, LosesNothingWhereCopiesBind) {
  SimSettings settings = with_slots(2);
  settings.jitter = 0.3;
  const SimResult result = simulate_sweeps(repeated(500, pinned(1000, 50)), settings);
  EXPECT_NEAR(result.sweep_ns, result.copy_busy_ns, 0.005 * result.copy_busy_ns);
}

TEST(SweepSimulator, SameArgumentsSameNanoseconds) {
  SimSettings settings = with_slots(3);
  settings.jitter = 0.5;
  const Launches launches = repeated(50, from_disk(90, 100, 110));
  const SimResult one = simulate_sweeps(launches, settings);
  EXPECT_EQ(one.sweep_ns, simulate_sweeps(launches, settings).sweep_ns);
  settings.seed = 2;
  EXPECT_NE(one.sweep_ns, simulate_sweeps(launches, settings).sweep_ns);
}

TEST(SweepSimulator, RefusesWhatCannotRun) {
  EXPECT_THROW(simulate_sweeps(Launches{resident(1)}, with_slots(0)), Error);
  EXPECT_THROW(simulate_sweeps(Launches{resident(1)}, with_slots(2, 0)), Error);
  SimLaunch launch = pinned(1, 1);
  launch.on_cpu = true;
  EXPECT_THROW(simulate_sweeps(Launches{launch}, with_slots(2)), Error);
  SimSettings settings = with_slots(2);
  settings.warm_sweeps = settings.sweeps;
  EXPECT_THROW(simulate_sweeps(Launches{resident(1)}, settings), Error);
}

Launches random_launches(std::mt19937& random) {
  Launches launches(1 + random() % 30);
  for (SimLaunch& launch : launches) {
    launch.compute_ns = static_cast<std::int64_t>(random() % 100);
    launch.on_cpu = random() % 6 == 0;
    if (launch.on_cpu || random() % 3 == 0) continue;
    launch.source = random() % 2 == 0 ? SimSource::host : SimSource::disk;
    launch.copy_ns = static_cast<std::int64_t>(random() % 100);
    launch.pack_ns = static_cast<std::int64_t>(random() % 2 * random() % 20);
    if (launch.source == SimSource::disk)
      launch.read_ns = static_cast<std::int64_t>(random() % 100);
  }
  return launches;
}

// No resource works more than all the time, someone always works, and more room is never worse.
TEST(SweepSimulator, BoundsHoldForRandomSweeps) {
  std::mt19937 random(7);
  for (int round = 0; round < 3000; ++round) {
    const Launches launches = random_launches(random);
    SimSettings settings =
        with_slots(1 + static_cast<int>(random() % 5), 1 + static_cast<int>(random() % 5));
    settings.unified = random() % 4 == 0;
    settings.free_after_pack = random() % 2 == 0;
    settings.switch_ns = random() % 2 == 0 ? 5 : 0;
    settings.sweeps = 12;
    settings.warm_sweeps = 4;
    const SimResult now = simulate_sweeps(launches, settings);
    const double compute = now.device_busy_ns + now.cpu_busy_ns;
    // Work of a sweep may be done in the one before: a sweep's worth over all eight.
    const double all =
        compute + now.copy_busy_ns + now.disk_busy_ns +
        static_cast<double>(settings.switch_ns) * 2 * static_cast<double>(launches.size());
    EXPECT_GE(now.sweep_ns, compute) << round;
    EXPECT_GE(now.sweep_ns * 9 / 8 + 1, std::max(now.copy_busy_ns, now.disk_busy_ns)) << round;
    EXPECT_LE(now.sweep_ns, all + 1) << round;
    // Where the executor's thread waits for the ring, it may notice more than where it does not.
    const bool waits = std::ranges::any_of(
        launches, [](const SimLaunch& launch) { return launch.source == SimSource::disk; });
    if (waits && !settings.unified) continue;
    // From the first sweep on: in the steady ones alone, more room may have helped before.
    settings.warm_sweeps = 0;
    SimSettings more = settings;
    (settings.unified ? more.ring_slots : more.slots) += 1;
    EXPECT_LE(simulate_sweeps(launches, more).sweep_ns,
              simulate_sweeps(launches, settings).sweep_ns)
        << round;
  }
}

}  // namespace
}  // namespace strata
