#include "runtime/core/numa.h"

#include <sched.h>

#include <algorithm>
#include <fstream>

#include "runtime/core/cpus.h"

namespace strata {
namespace {

std::vector<int> listed_in(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return parse_cpu_list(line);
}

}  // namespace

std::vector<std::vector<int>> numa_nodes(const std::vector<int>& cpus, const std::string& root) {
  const std::string folder = root + "/sys/devices/system/node/";
  std::vector<std::vector<int>> nodes;
  for (int node : listed_in(folder + "online")) {
    std::vector<int> own = listed_in(folder + "node" + std::to_string(node) + "/cpulist");
    std::erase_if(own, [&](int cpu) { return !std::binary_search(cpus.begin(), cpus.end(), cpu); });
    if (!own.empty()) nodes.push_back(std::move(own));
  }
  return nodes;
}

std::vector<std::vector<int>> thread_places(const std::vector<std::vector<int>>& nodes,
                                            int threads) {
  std::vector<std::vector<int>> places;
  if (nodes.size() < 2) return places;
  const auto count = static_cast<std::size_t>(threads);
  for (std::size_t i = 0; i < count; ++i) places.push_back(nodes[i * nodes.size() / count]);
  return places;
}

void stay_on(const std::vector<int>& cpus) {
  if (cpus.empty()) return;
  const auto sets = static_cast<std::size_t>(cpus.back() / CPU_SETSIZE + 1);
  std::vector<cpu_set_t> set(sets);  // zeroed: all CPUs out
  const std::size_t bytes = sets * sizeof(cpu_set_t);
  for (int cpu : cpus) CPU_SET_S(static_cast<std::size_t>(cpu), bytes, set.data());
  (void)sched_setaffinity(0, bytes, set.data());
}

}  // namespace strata
