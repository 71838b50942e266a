#include "runtime/core/cpus.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <set>
#include <thread>

#include "runtime/core/cgroup.h"

namespace strata {
namespace {

// No file of the kernel names a CPU beyond this; a broken one may not make us loop for long.
constexpr int kMaxCpu = 1 << 16;

int cut_by_quota(int cpus, const std::string& root) {
  const int granted = cgroup_cpu_limit(root);
  return std::max(granted > 0 ? std::min(cpus, granted) : cpus, 1);
}

// One number at the start of `text`, which is moved behind it; -1 when there is none.
int take_number(std::string_view& text) {
  int number = -1;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc() || number < 0 || number > kMaxCpu) return -1;
  text.remove_prefix(static_cast<std::size_t>(parsed.ptr - text.data()));
  return number;
}

}  // namespace

std::vector<int> allowed_cpus() {
  std::vector<int> cpus;
  // Machines have been built with more CPUs than a cpu_set_t has room for.
  for (int room = CPU_SETSIZE; room <= kMaxCpu; room *= 2) {
    std::vector<cpu_set_t> set(static_cast<std::size_t>(room / CPU_SETSIZE));
    const std::size_t bytes = set.size() * sizeof(cpu_set_t);
    if (sched_getaffinity(0, bytes, set.data()) != 0) continue;
    for (int cpu = 0; cpu < room; ++cpu)
      if (CPU_ISSET_S(static_cast<std::size_t>(cpu), bytes, set.data())) cpus.push_back(cpu);
    return cpus;
  }
  for (unsigned cpu = 0; cpu < std::max(std::thread::hardware_concurrency(), 1U); ++cpu)
    cpus.push_back(static_cast<int>(cpu));
  return cpus;
}

int usable_cpus() { return cut_by_quota(static_cast<int>(allowed_cpus().size()), {}); }

int default_threads(const std::vector<int>& cpus, const std::string& root) {
  // A core is known by its first CPU, whether or not we may use that one.
  std::set<int> cores;
  for (int cpu : cpus) {
    std::ifstream file(root + "/sys/devices/system/cpu/cpu" + std::to_string(cpu) +
                       "/topology/thread_siblings_list");
    std::string siblings;
    std::getline(file, siblings);
    const std::vector<int> threads = parse_cpu_list(siblings);
    cores.insert(threads.empty() ? cpu : threads.front());
  }
  return cut_by_quota(static_cast<int>(cores.size()), root);
}

std::vector<int> parse_cpu_list(std::string_view text) {
  std::vector<int> cpus;
  while (!text.empty()) {
    const int first = take_number(text);
    int last = first;
    if (!text.empty() && text.front() == '-') {
      text.remove_prefix(1);
      last = take_number(text);
    }
    if (first < 0 || last < first) return {};
    for (int cpu = first; cpu <= last; ++cpu) cpus.push_back(cpu);
    if (text.empty()) break;
    if (text.front() != ',') return {};
    text.remove_prefix(1);
    if (text.empty()) return {};
  }
  return cpus;
}

}  // namespace strata
