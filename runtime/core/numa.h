#pragma once

#include <string>
#include <vector>

namespace strata {

/// The CPUs of `cpus` that each memory node has, nodes without any left out; empty when the machine
/// does not say. `root` is put before /sys, so that tests can describe a machine.
std::vector<std::vector<int>> numa_nodes(const std::vector<int>& cpus,
                                         const std::string& root = {});

/// For each of `threads` threads the CPUs that it is to stay on: those of one node, equally many
/// threads on each, neighbours together, so that what a thread touches first lies on its node.
/// Empty when there is but one node: threads are then left to the scheduler, which on a shared
/// machine knows better than we do which CPU is free.
std::vector<std::vector<int>> thread_places(const std::vector<std::vector<int>>& nodes,
                                            int threads);

/// Keeps the calling thread on `cpus` (empty: as it is). A system that refuses is not an error: the
/// thread runs where it may.
void stay_on(const std::vector<int>& cpus);

}  // namespace strata
