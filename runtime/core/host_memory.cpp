#include "runtime/core/host_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <string_view>

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

// The files of one cgroup version that matter.
struct CgroupNames {
  const char* mount;
  const char* limit;
  const char* usage;
  const char* inactive_file;
  const char* active_file;
};
constexpr CgroupNames kVersion1{"/sys/fs/cgroup/memory", "memory.limit_in_bytes",
                                "memory.usage_in_bytes", "total_inactive_file",
                                "total_active_file"};
constexpr CgroupNames kVersion2{"/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file",
                                "active_file"};

// Cuts `memory` by one group's limit. Its file pages are given back under pressure, as MemAvailable
// assumes for the whole machine.
void apply_group(const CgroupNames& names, const std::string& folder, HostMemory& memory) {
  const std::uint64_t limit = read_number(folder + "/" + names.limit, kNone);
  if (limit >= memory.total) return;  // version 1 writes "no limit" as a huge number
  const std::string stat = folder + "/memory.stat";
  const std::uint64_t used = read_number(folder + "/" + names.usage, 0);
  const std::uint64_t file_pages =
      read_field(stat, names.inactive_file) + read_field(stat, names.active_file);
  const std::uint64_t held = used - std::min(used, file_pages);
  memory.total = limit;
  memory.free = std::min(memory.free, limit - std::min(limit, held));
}

// The limit of the group at `path` and of every group above it. In a container the mount shows the
// container's own group at its top, where the path seen from outside does not exist.
void apply_groups(const CgroupNames& names, const std::string& root, std::string path,
                  HostMemory& memory) {
  const std::string mount = root + names.mount;
  while (path.size() > 1) {
    apply_group(names, mount + path, memory);
    path.resize(std::min(path.rfind('/'), path.size() - 1));
  }
  apply_group(names, mount, memory);
}

}  // namespace

HostMemory read_host_memory(const std::string& root) {
  const std::string meminfo = root + "/proc/meminfo";
  HostMemory memory;
  memory.total = read_field(meminfo, "MemTotal:") * 1024;
  memory.free = std::min(read_field(meminfo, "MemAvailable:") * 1024, memory.total);
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    // "4:memory:/path" in version 1, "0::/path" in version 2
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    if (controllers == ",,") apply_groups(kVersion2, root, line.substr(second + 1), memory);
    if (controllers.find(",memory,") != std::string::npos)
      apply_groups(kVersion1, root, line.substr(second + 1), memory);
  }
  return memory;
}

std::byte* allocate_host(std::size_t bytes) noexcept {
  if (bytes > std::numeric_limits<std::size_t>::max() - kAlign) return nullptr;
  if (bytes < kHugeBlockBytes)
    return static_cast<std::byte*>(
        std::aligned_alloc(kAlign, (std::max<std::size_t>(bytes, 1) + kAlign - 1) & ~(kAlign - 1)));
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) return nullptr;
  madvise(data, bytes, MADV_HUGEPAGE);  // advice: without huge pages it fails, and nothing is lost
  return static_cast<std::byte*>(data);
}

void free_host(std::byte* data, std::size_t bytes) noexcept {
  if (bytes < kHugeBlockBytes)
    std::free(data);
  else
    munmap(data, bytes);
}

}  // namespace strata
