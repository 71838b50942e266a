#include "runtime/core/cpus.h"

#include <gtest/gtest.h>

#include <thread>

#include "runtime/core/numa.h"
#include "tests/support/fake_machine.h"

namespace strata {
namespace {

using test::FakeMachine;
using Cpus = std::vector<int>;
using Nodes = std::vector<Cpus>;

TEST(CpuList, IsReadAsTheKernelWritesIt) {
  EXPECT_EQ(parse_cpu_list("0"), Cpus({0}));
  EXPECT_EQ(parse_cpu_list("0-3,8,10-11"), Cpus({0, 1, 2, 3, 8, 10, 11}));
  for (const char* no_list :
       {"", "-", "-1", "3-1", "1,", ",1", "1-", "x", "0-99999999", "1 2", "1;2"})
    EXPECT_EQ(parse_cpu_list(no_list), Cpus()) << no_list;
}

void set_siblings(const FakeMachine& machine, int cpu, const std::string& siblings) {
  machine.file(
      "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list",
      siblings + "\n");
}

TEST(DefaultThreads, IsOnePerPhysicalCoreThatMayBeUsed) {
  const FakeMachine machine;
  for (int cpu = 0; cpu < 4; ++cpu) {
    const std::string pair = std::to_string(cpu) + "," + std::to_string(cpu + 4);
    set_siblings(machine, cpu, pair);
    set_siblings(machine, cpu + 4, pair);
  }
  EXPECT_EQ(default_threads({0, 1, 2, 3, 4, 5, 6, 7}, machine.root()), 4);
  EXPECT_EQ(default_threads({0, 4}, machine.root()), 1);
  EXPECT_EQ(default_threads({5, 6}, machine.root()), 2);  // second threads of two cores
  machine.file("/proc/self/cgroup", "0::/\n");
  machine.file("/sys/fs/cgroup/cpu.max", "250000 100000\n");
  EXPECT_EQ(default_threads({0, 1, 2, 3, 4, 5, 6, 7}, machine.root()), 3);
  EXPECT_EQ(default_threads({0, 4}, machine.root()), 1);
}

TEST(DefaultThreads, CountsCpusOfAMachineThatDoesNotSay) {
  const FakeMachine machine;
  EXPECT_EQ(default_threads({0, 1, 2}, machine.root()), 3);
  set_siblings(machine, 0, "nonsense");
  EXPECT_EQ(default_threads({0, 1, 2}, machine.root()), 3);
  EXPECT_EQ(default_threads({}, machine.root()), 1);
}

TEST(DefaultThreads, OfThisMachineAreNoMoreThanItsCpus) {
  EXPECT_GE(default_threads(allowed_cpus()), 1);
  EXPECT_LE(default_threads(allowed_cpus()), usable_cpus());
}

TEST(NumaNodes, AreThoseWithCpusThatMayBeUsed) {
  const FakeMachine machine;
  EXPECT_EQ(numa_nodes({0, 1}, machine.root()), Nodes());
  machine.file("/sys/devices/system/node/online", "0-2\n");
  machine.file("/sys/devices/system/node/node0/cpulist", "0-1,4-5\n");
  machine.file("/sys/devices/system/node/node1/cpulist", "2-3,6-7\n");
  machine.file("/sys/devices/system/node/node2/cpulist", "\n");  // memory without CPUs
  EXPECT_EQ(numa_nodes({0, 1, 2, 3, 4, 5, 6, 7}, machine.root()),
            Nodes({{0, 1, 4, 5}, {2, 3, 6, 7}}));
  EXPECT_EQ(numa_nodes({1, 3, 6}, machine.root()), Nodes({{1}, {3, 6}}));
  EXPECT_EQ(numa_nodes({2, 3}, machine.root()), Nodes({{2, 3}}));
}

TEST(ThreadPlaces, DivideTheThreadsOverTheNodes) {
  const Nodes two = {{0, 1}, {2, 3}};
  EXPECT_EQ(thread_places(two, 4), Nodes({{0, 1}, {0, 1}, {2, 3}, {2, 3}}));
  EXPECT_EQ(thread_places(two, 3), Nodes({{0, 1}, {0, 1}, {2, 3}}));
  EXPECT_EQ(thread_places(two, 1), Nodes({{0, 1}}));
  EXPECT_EQ(thread_places({{0, 1}}, 2), Nodes());
  EXPECT_EQ(thread_places({}, 2), Nodes());
}

TEST(StayOn, BindsTheCallingThreadOnly) {
  const Cpus before = allowed_cpus();
  Cpus bound;
  Cpus unbound;
  std::thread([&] {
    stay_on({});
    unbound = allowed_cpus();
    stay_on({before.back()});
    bound = allowed_cpus();
    stay_on({60000});  // refused, and nothing changes
    EXPECT_EQ(allowed_cpus(), bound);
  }).join();
  EXPECT_EQ(unbound, before);
  EXPECT_EQ(bound, Cpus({before.back()}));
  EXPECT_EQ(allowed_cpus(), before);
}

}  // namespace
}  // namespace strata
