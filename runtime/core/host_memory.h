#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace strata {

/// Memory of this process's machine or container, in bytes.
struct HostMemory {
  std::uint64_t total = 0;  ///< the machine's, or the tightest cgroup limit (v1, v2, parents too)
  std::uint64_t free = 0;   ///< what can be had now: reclaimable file pages count as free
};

/// Asks the system. `root` is put before /proc and /sys, so that tests can describe a machine.
/// Files that are missing or unreadable set no limit; never throws.
HostMemory read_host_memory(const std::string& root = {});

/// A huge page; blocks of at least as many bytes are mapped on their own, aligned to it.
inline constexpr std::size_t kHugeBlockBytes = std::size_t{2} << 20;

/// 64-byte aligned memory, not cleared; from kHugeBlockBytes on mapped anonymously (with huge pages
/// where the system has them), so that pages never touched cost nothing. Null when the system
/// refuses.
std::byte* allocate_host(std::size_t bytes) noexcept;
/// Gives memory of allocate_host() back; `bytes` as then.
void free_host(std::byte* data, std::size_t bytes) noexcept;

}  // namespace strata
