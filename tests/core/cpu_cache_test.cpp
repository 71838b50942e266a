#include "runtime/core/cpu_cache.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace strata {
namespace {

class CpuCache : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::remove_all(root_); }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void add(int cpu, int index, const std::string& level, const std::string& size,
           const std::string& shared) {
    const std::string folder = root_ + "/sys/devices/system/cpu/cpu" + std::to_string(cpu) +
                               "/cache/index" + std::to_string(index);
    std::filesystem::create_directories(folder);
    std::ofstream(folder + "/level") << level << "\n";
    std::ofstream(folder + "/size") << size << "\n";
    std::ofstream(folder + "/shared_cpu_list") << shared << "\n";
  }

  std::string root_ = testing::TempDir() + "cpu_cache_test";
};

TEST_F(CpuCache, SharedOnesCountOnceAndOnlyTheLastLevel) {
  for (int cpu = 0; cpu < 4; ++cpu) {
    add(cpu, 0, "1", "48K", std::to_string(cpu));
    add(cpu, 1, "2", "1024K", std::to_string(cpu));
    add(cpu, 2, "3", "32M", cpu < 2 ? "0-1" : "2-3");
  }
  EXPECT_EQ(last_level_cache_bytes(root_), std::uint64_t{64} << 20);
}

TEST_F(CpuCache, NothingToReadIsZero) { EXPECT_EQ(last_level_cache_bytes(root_), 0u); }

}  // namespace
}  // namespace strata
