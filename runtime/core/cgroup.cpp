#include "runtime/core/cgroup.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <fstream>

namespace strata {
namespace {

void add_with_parents(const std::string& mount, std::string path, bool version2,
                      std::vector<CgroupFolder>& folders) {
  while (path.size() > 1) {
    folders.push_back({mount + path, version2});
    path.resize(std::min(path.rfind('/'), path.size() - 1));
  }
  folders.push_back({mount, version2});
}

// Quota over period; 0 for "max", -1 and whatever is not a quota.
double cpu_quota(const CgroupFolder& folder) {
  double quota = 0;
  double period = 0;
  if (folder.version2) {
    std::ifstream file(folder.path + "/cpu.max");
    file >> quota >> period;
  } else {
    std::ifstream(folder.path + "/cpu.cfs_quota_us") >> quota;
    std::ifstream(folder.path + "/cpu.cfs_period_us") >> period;
  }
  return quota > 0 && period > 0 ? quota / period : 0;
}

}  // namespace

std::vector<CgroupFolder> cgroup_folders(std::string_view controller, const std::string& root) {
  std::vector<CgroupFolder> folders;
  const std::string wanted = "," + std::string(controller) + ",";
  const std::string mount = root + "/sys/fs/cgroup";
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    // "4:cpu,cpuacct:/path" in version 1, "0::/path" in version 2
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string path = line.substr(second + 1);
    if (controllers == ",,")
      add_with_parents(mount, path, true, folders);
    else if (controllers.find(wanted) != std::string::npos)
      add_with_parents(mount + "/" + std::string(controller), path, false, folders);
  }
  return folders;
}

int cgroup_cpu_limit(const std::string& root) {
  double tightest = 0;
  for (const CgroupFolder& folder : cgroup_folders("cpu", root)) {
    const double quota = cpu_quota(folder);
    if (quota > 0 && (tightest == 0 || quota < tightest)) tightest = quota;
  }
  return static_cast<int>(std::ceil(std::min(tightest, 1e6)));
}

}  // namespace strata
