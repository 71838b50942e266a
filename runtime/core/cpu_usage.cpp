#include "runtime/core/cpu_usage.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <fstream>
#include <sstream>

namespace strata {
namespace {

std::int64_t process_ns() {
  timespec time{};
  if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) != 0) return 0;
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

// The columns of a "cpu" line (proc(5)): user nice system idle iowait irq softirq steal, then guest
// times, which user and nice hold already. Everything but idle and iowait is work.
std::int64_t busy_ticks(std::istringstream& line) {
  constexpr int kColumns = 8, kIdle = 3, kWait = 4;
  std::int64_t busy = 0;
  for (int column = 0; column < kColumns; ++column) {
    std::int64_t ticks = 0;
    if (!(line >> ticks)) return column > kIdle ? busy : -1;
    if (column != kIdle && column != kWait) busy += ticks;
  }
  return busy;
}

}  // namespace

CpuUsage read_cpu_usage(const std::string& root) {
  CpuUsage usage;
  std::ifstream file(root + "/proc/stat");
  const long ticks_per_second = sysconf(_SC_CLK_TCK);
  for (std::string text; std::getline(file, text) && text.starts_with("cpu");) {
    std::istringstream line(text);
    std::string name;
    line >> name;
    if (name != "cpu") {
      ++usage.cpus;
      continue;
    }
    const std::int64_t ticks = busy_ticks(line);
    if (ticks >= 0 && ticks_per_second > 0)
      usage.machine_ns = ticks * (1'000'000'000 / ticks_per_second);
  }
  usage.own_ns = process_ns();
  usage.wall_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(
                      std::chrono::steady_clock::now().time_since_epoch())
                      .count();
  return usage;
}

std::optional<double> foreign_cpu_share(const CpuUsage& before, const CpuUsage& after) {
  // A tick of one CPU in this time is the resolution: 5 % of 100 ms on two of them.
  constexpr std::int64_t kLeast = 200'000'000;
  const std::int64_t wall = after.wall_ns - before.wall_ns;
  if (before.machine_ns < 0 || after.machine_ns < 0 || after.cpus < 1 || wall < kLeast)
    return std::nullopt;
  const std::int64_t others =
      (after.machine_ns - before.machine_ns) - (after.own_ns - before.own_ns);
  return static_cast<double>(std::max<std::int64_t>(others, 0)) /
         (static_cast<double>(wall) * after.cpus);
}

}  // namespace strata
