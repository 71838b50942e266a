#include "runtime/core/host_memory.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "runtime/core/cgroup.h"
#include "tests/support/fake_machine.h"

namespace strata {
namespace {

using test::FakeMachine;

void expect_memory(const FakeMachine& machine, std::uint64_t total, std::uint64_t free) {
  const HostMemory memory = read_host_memory(machine.root());
  EXPECT_EQ(memory.total, total);
  EXPECT_EQ(memory.free, free);
}

constexpr std::uint64_t kKib = 1024;

TEST(HostMemory, IsTheMachinesWithoutGroups) {
  const FakeMachine machine;
  expect_memory(machine, 1000 * kKib, 600 * kKib);
}

TEST(HostMemory, IsCutByALimitOfVersion2) {
  const FakeMachine machine;
  machine.file("/proc/self/cgroup", "0::/a/b\n");
  machine.file("/sys/fs/cgroup/a/b/memory.max", "max\n");
  machine.file("/sys/fs/cgroup/a/memory.max", "409600\n");
  machine.file("/sys/fs/cgroup/a/memory.current", "204800\n");
  machine.file("/sys/fs/cgroup/a/memory.stat",
               "anon 1\ninactive_file 51200\nactive_file 51200\nfile_mapped 9\n");
  // File pages can be given back: 204800 - 102400 are held.
  expect_memory(machine, 409600, 409600 - 102400);
}

// What a group may have before it is slowed down counts as its limit, its own or a parent's.
TEST(HostMemory, IsCutByWhatVersion2Throttles) {
  const FakeMachine machine;
  machine.file("/proc/self/cgroup", "0::/a/b\n");
  machine.file("/sys/fs/cgroup/a/b/memory.max", "500000\n");
  machine.file("/sys/fs/cgroup/a/b/memory.high", "max\n");
  machine.file("/sys/fs/cgroup/a/memory.max", "max\n");
  machine.file("/sys/fs/cgroup/a/memory.high", "300000\n");
  machine.file("/sys/fs/cgroup/a/memory.current", "350000\n");
  machine.file("/sys/fs/cgroup/a/memory.stat", "inactive_file 150000\n");
  expect_memory(machine, 300000, 100000);
  machine.file("/sys/fs/cgroup/a/b/memory.high", "90000\n");
  expect_memory(machine, 90000, 90000);
}

TEST(HostMemory, IsCutByALimitOfVersion1) {
  const FakeMachine machine;
  machine.file("/proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/x\n");
  machine.file("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  machine.file("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "204800\n");
  machine.file("/sys/fs/cgroup/memory/x/memory.usage_in_bytes", "300000\n");
  machine.file("/sys/fs/cgroup/memory/x/memory.stat", "total_inactive_file 195200\n");
  expect_memory(machine, 204800, 100000);
}

TEST(HostMemory, AContainersOwnGroupStandsAtTheTop) {
  const FakeMachine machine;
  machine.file("/proc/self/cgroup", "0::/docker/not-to-be-seen-here\n");
  machine.file("/sys/fs/cgroup/memory.max", "102400\n");
  machine.file("/sys/fs/cgroup/memory.current", "102500\n");
  expect_memory(machine, 102400, 0);
}

TEST(HostMemory, ANeighbourMayHaveUsedTheParentsShare) {
  const FakeMachine machine;
  machine.file("/proc/self/cgroup", "0::/a/b\n");
  machine.file("/sys/fs/cgroup/a/b/memory.max", "100000\n");
  machine.file("/sys/fs/cgroup/a/memory.max", "200000\n");
  machine.file("/sys/fs/cgroup/a/memory.current", "190000\n");
  expect_memory(machine, 100000, 10000);
}

TEST(HostMemory, NonsenseSetsNoLimit) {
  const FakeMachine machine;
  machine.file("/proc/self/cgroup", "::\n\nno colons\n:memory:\n0::../..\n7:memory:relative");
  machine.file("/sys/fs/cgroup/memory.max", "many\n");
  expect_memory(machine, 1000 * kKib, 600 * kKib);
}

TEST(HostMemory, OfThisMachineMakesSense) {
  const HostMemory memory = read_host_memory();
  EXPECT_GT(memory.total, 1U << 20);
  EXPECT_GT(memory.free, 0U);
  EXPECT_LE(memory.free, memory.total);
}

TEST(CgroupCpuLimit, IsTheTightestQuotaRoundedUp) {
  const FakeMachine machine;
  EXPECT_EQ(cgroup_cpu_limit(machine.root()), 0);
  machine.file("/proc/self/cgroup", "1:cpuset:/z\n2:cpu,cpuacct:/v1\n0::/a/b\n");
  EXPECT_EQ(cgroup_cpu_limit(machine.root()), 0);
  machine.file("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
  EXPECT_EQ(cgroup_cpu_limit(machine.root()), 0);
  machine.file("/sys/fs/cgroup/a/cpu.max", "350000 100000\n");
  EXPECT_EQ(cgroup_cpu_limit(machine.root()), 4);
  machine.file("/sys/fs/cgroup/cpu/v1/cpu.cfs_quota_us", "-1\n");
  machine.file("/sys/fs/cgroup/cpu/v1/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(cgroup_cpu_limit(machine.root()), 4);
  machine.file("/sys/fs/cgroup/cpu/v1/cpu.cfs_quota_us", "50000\n");
  EXPECT_EQ(cgroup_cpu_limit(machine.root()), 1);
}

TEST(AllocateHost, IsAlignedAndWritable) {
  for (std::size_t bytes : {std::size_t{0}, std::size_t{1}, std::size_t{65}, std::size_t{100000},
                            kHugeBlockBytes - 1, kHugeBlockBytes, kHugeBlockBytes + 1}) {
    std::byte* data = allocate_host(bytes);
    ASSERT_NE(data, nullptr);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(data) % 64, 0U);
    if (bytes > 0) data[0] = data[bytes - 1] = std::byte{1};
    free_host(data, bytes);
  }
}

TEST(AllocateHost, LargeBlocksBeginAtAHugePage) {
  for (std::size_t bytes : {kHugeBlockBytes, kHugeBlockBytes + 1, 3 * kHugeBlockBytes - 1}) {
    std::byte* data = allocate_host(bytes);
    ASSERT_NE(data, nullptr);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(data) % kHugeBlockBytes, 0U);
    free_host(data, bytes);
  }
}

TEST(AllocateHost, GivesNullForTheImpossible) {
  EXPECT_EQ(allocate_host(~std::size_t{0}), nullptr);
  EXPECT_EQ(allocate_host(std::size_t{1} << 60), nullptr);
}

}  // namespace
}  // namespace strata
