#pragma once

#include <cstdint>
#include <string>

namespace strata {

/// Bytes of all last-level caches of the machine's CPUs together; 0 where the system does not say.
/// `root` is put before /sys, so that tests can describe a machine. Never throws.
std::uint64_t last_level_cache_bytes(const std::string& root = {});

}  // namespace strata
