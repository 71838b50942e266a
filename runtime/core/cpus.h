#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace strata {

// `root` is put before /proc and /sys, so that tests can describe a machine. What cannot be read is
// taken as if the machine did not have it; nothing here throws for it.

/// The CPUs of the calling thread's affinity mask, ascending, by the kernel's numbers.
std::vector<int> allowed_cpus();

/// CPUs that this process may use: the inherited affinity mask, cut by the cgroup's CPU quota
/// (rounded up), at least 1.
int usable_cpus();

/// Threads that a kernel gets when nobody said how many: one per physical core of `cpus`, as two
/// threads of a core share what kernels need, cut by the cgroup's CPU quota (rounded up), at
/// least 1.
int default_threads(const std::vector<int>& cpus, const std::string& root = {});

/// "0-3,8" as 0, 1, 2, 3, 8, as files under /sys/devices/system write it; empty when it is no such
/// list.
std::vector<int> parse_cpu_list(std::string_view text);

}  // namespace strata
