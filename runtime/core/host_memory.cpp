#include "runtime/core/host_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <string_view>

#include "runtime/core/cgroup.h"

namespace strata {
namespace {

constexpr std::uint64_t kNone = std::numeric_limits<std::uint64_t>::max();
constexpr std::size_t kAlign = 64;

// The number in a file of one; `absent` when there is none (no such file, "max").
std::uint64_t read_number(const std::string& path, std::uint64_t absent) {
  std::ifstream file(path);
  std::uint64_t value = 0;
  return file >> value ? value : absent;
}

// The number after `key` in a file of "key value" lines; 0 when it is not there.
std::uint64_t read_field(const std::string& path, std::string_view key) {
  std::ifstream file(path);
  std::string word;
  while (file >> word) {
    std::uint64_t value = 0;
    if (word == key && file >> value) return value;
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return 0;
}

// Cuts `memory` by one group's limit. Its file pages are given back under pressure, as MemAvailable
// assumes for the whole machine.
void apply_group(const CgroupFolder& folder, HostMemory& memory) {
  const bool v2 = folder.version2;
  const std::string path = folder.path + "/memory.";
  std::uint64_t limit = read_number(path + (v2 ? "max" : "limit_in_bytes"), kNone);
  // Beyond `high` the group is slowed down until it is below it again: as good as a limit.
  if (v2) limit = std::min(limit, read_number(path + "high", kNone));
  if (limit == kNone) return;
  const std::uint64_t used = read_number(path + (v2 ? "current" : "usage_in_bytes"), 0);
  const std::uint64_t file_pages =
      read_field(path + "stat", v2 ? "inactive_file" : "total_inactive_file") +
      read_field(path + "stat", v2 ? "active_file" : "total_active_file");
  const std::uint64_t held = used - std::min(used, file_pages);
  memory.total = std::min(memory.total, limit);  // version 1 writes "no limit" as a huge number
  memory.free = std::min(memory.free, limit - std::min(limit, held));
}

// Whole pages from an address that is a multiple of a huge page's size on: those before and after,
// mapped only to find one, are given back.
std::byte* map_aligned(std::size_t bytes) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  if (bytes > std::numeric_limits<std::size_t>::max() - kHugeBlockBytes - page) return nullptr;
  const std::size_t kept = (bytes + page - 1) / page * page;
  const std::size_t mapped = kept + kHugeBlockBytes;
  void* start = mmap(nullptr, mapped, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED) return nullptr;
  auto* data = static_cast<std::byte*>(start);
  const std::size_t past = reinterpret_cast<std::uintptr_t>(data) % kHugeBlockBytes;
  const std::size_t before = past == 0 ? 0 : kHugeBlockBytes - past;
  if (before > 0) munmap(data, before);
  munmap(data + before + kept, mapped - before - kept);
  return data + before;
}

}  // namespace

HostMemory read_host_memory(const std::string& root) {
  const std::string meminfo = root + "/proc/meminfo";
  HostMemory memory;
  memory.total = read_field(meminfo, "MemTotal:") * 1024;
  memory.free = std::min(read_field(meminfo, "MemAvailable:") * 1024, memory.total);
  for (const CgroupFolder& folder : cgroup_folders("memory", root)) apply_group(folder, memory);
  return memory;
}

std::byte* allocate_host(std::size_t bytes) noexcept {
  if (bytes > std::numeric_limits<std::size_t>::max() - kAlign) return nullptr;
  if (bytes < kHugeBlockBytes)
    return static_cast<std::byte*>(
        std::aligned_alloc(kAlign, (std::max<std::size_t>(bytes, 1) + kAlign - 1) & ~(kAlign - 1)));
  std::byte* data = map_aligned(bytes);
  // Advice: without huge pages it fails, and nothing is lost.
  if (data != nullptr) madvise(data, bytes, MADV_HUGEPAGE);
  return data;
}

void free_host(std::byte* data, std::size_t bytes) noexcept {
  if (bytes < kHugeBlockBytes)
    std::free(data);
  else
    munmap(data, bytes);
}

}  // namespace strata
