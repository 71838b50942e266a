#include "runtime/core/cpu_usage.h"

#include <gtest/gtest.h>

#include "tests/weights/temp_folder.h"

namespace strata::test {
namespace {

// A machine of two CPUs whose /proc/stat has this first line; ticks are 10 ms everywhere.
CpuUsage usage_of(const TempFolder& folder, const char* line) {
  std::filesystem::create_directories(folder.path() / "proc");
  folder.write("proc/stat", std::string(line) + "\ncpu0 1 1 1 1\ncpu1 1 1 1 1\nintr 7\n");
  return read_cpu_usage(folder.path().string());
}

TEST(CpuUsage, CountsWorkAndStolenTime) {
  const TempFolder folder;
  // user nice system idle iowait irq softirq steal guest guest_nice
  const CpuUsage usage = usage_of(folder, "cpu  10 20 30 4000 5000 1 2 3 99 99");
  EXPECT_EQ(usage.machine_ns, 660'000'000);
  EXPECT_EQ(usage.cpus, 2);
  EXPECT_EQ(usage_of(folder, "cpu  10 20 30 4000").machine_ns, 600'000'000) << "an old kernel";
  EXPECT_EQ(usage_of(folder, "cpu  10 20").machine_ns, -1);
}

TEST(CpuUsage, ForeignShareLeavesOutThisProcess) {
  const CpuUsage before{.wall_ns = 0, .machine_ns = 500, .own_ns = 100, .cpus = 2};
  CpuUsage after{
      .wall_ns = 1'000'000'000, .machine_ns = 1'200'000'500, .own_ns = 1'000'000'100, .cpus = 2};
  EXPECT_DOUBLE_EQ(foreign_cpu_share(before, after).value(), 0.1);
  after.own_ns = 1'300'000'100;  // the two clocks differ by a tick
  EXPECT_DOUBLE_EQ(foreign_cpu_share(before, after).value(), 0);
}

TEST(CpuUsage, SaysNothingWithoutData) {
  const CpuUsage before{.wall_ns = 0, .machine_ns = 0, .own_ns = 0, .cpus = 2};
  EXPECT_FALSE(foreign_cpu_share(before, {.wall_ns = 50'000'000, .machine_ns = 0, .cpus = 2}));
  EXPECT_FALSE(foreign_cpu_share(before, {.wall_ns = 1'000'000'000, .machine_ns = -1, .cpus = 2}));
  const TempFolder folder;
  const CpuUsage none = read_cpu_usage(folder.path().string());
  EXPECT_FALSE(foreign_cpu_share(none, none));
}

}  // namespace
}  // namespace strata::test
