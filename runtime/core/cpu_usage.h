#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace strata {

/// Time that CPUs have spent working, at one moment. Differences of two are meant.
struct CpuUsage {
  std::int64_t wall_ns = 0;
  std::int64_t machine_ns = -1;  ///< all CPUs, this process too; -1 where the system does not say
  std::int64_t own_ns = 0;       ///< this process, all threads
  int cpus = 0;                  ///< that the machine has
};

/// Reads /proc/stat. `root` is put before /proc, so that tests can describe a machine. Never
/// throws.
CpuUsage read_cpu_usage(const std::string& root = {});

/// The share of all CPUs that was used between the two by others than this process, guests of the
/// same host included ("steal"), at least 0. Empty when the system does not say, or when the time
/// is too short for its clock of 10 ms.
std::optional<double> foreign_cpu_share(const CpuUsage& before, const CpuUsage& after);

}  // namespace strata
