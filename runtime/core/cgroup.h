#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace strata {

/// A control group that this process is in, as a folder with that group's files.
struct CgroupFolder {
  std::string path;
  bool version2;  ///< which names and formats its files have
};

/// The process's group of a controller ("memory", "cpu") and every group above it, innermost first,
/// in version 1 and 2. In a container some of them are not to be seen: their files are missing, and
/// the container's own group stands at the top. `root` is put before /proc and /sys, so that tests
/// can describe a machine. Never throws for what cannot be read.
std::vector<CgroupFolder> cgroup_folders(std::string_view controller, const std::string& root = {});

/// CPUs granted by the tightest quota of these groups, rounded up; 0 when there is none.
int cgroup_cpu_limit(const std::string& root = {});

}  // namespace strata
