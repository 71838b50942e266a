#include "tests/streaming/memory_group.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <vector>

#include "runtime/core/cgroup.h"

namespace strata::test {
namespace {

bool write_number(const std::filesystem::path& file, std::uint64_t number) {
  std::ofstream out(file);
  out << number << std::flush;
  return out.good();
}

}  // namespace

MemoryGroup::MemoryGroup(std::uint64_t bytes) {
  refusal_ = "no control group for memory can be seen";
  for (const CgroupFolder& parent : cgroup_folders("memory")) {
    const std::filesystem::path folder =
        std::filesystem::path(parent.path) / fmt::format("strata-test-{}", ::getpid());
    std::error_code error;
    if (!std::filesystem::create_directory(folder, error)) {
      refusal_ = fmt::format("{} cannot be made: {}", folder.string(), error.message());
      continue;
    }
    const char* limit = parent.version2 ? "memory.max" : "memory.limit_in_bytes";
    if (std::filesystem::exists(folder / limit) && write_number(folder / limit, bytes)) {
      folder_ = folder;
      refusal_.clear();
      return;
    }
    refusal_ = fmt::format("{} cannot be set", (folder / limit).string());
    ::rmdir(folder.c_str());
  }
}

MemoryGroup::~MemoryGroup() {
  if (!folder_.empty()) ::rmdir(folder_.c_str());
}

bool MemoryGroup::enter() const {
  return write_number(folder_ / "cgroup.procs", static_cast<std::uint64_t>(::getpid()));
}

}  // namespace strata::test
