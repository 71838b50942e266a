#include "runtime/core/page_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <limits>

#include "runtime/core/host_memory.h"

namespace strata {
namespace {

std::size_t page_bytes() noexcept {
  static const auto bytes = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

std::size_t round_up(std::size_t bytes) noexcept {
  return (std::max<std::size_t>(bytes, 1) + page_bytes() - 1) / page_bytes() * page_bytes();
}

}  // namespace

std::byte* map_pages(std::size_t bytes) noexcept {
  if (bytes > std::numeric_limits<std::size_t>::max() - 2 * page_bytes()) return nullptr;
  const std::size_t usable = round_up(bytes);
  void* const start = mmap(nullptr, usable + page_bytes(), PROT_NONE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED) return nullptr;
  if (mprotect(start, usable, PROT_READ | PROT_WRITE) != 0) {
    munmap(start, usable + page_bytes());
    return nullptr;
  }
  // Advice: without huge pages it fails, and nothing is lost.
  if (usable >= kHugeBlockBytes) madvise(start, usable, MADV_HUGEPAGE);
  return static_cast<std::byte*>(start);
}

void unmap_pages(std::byte* data, std::size_t bytes) noexcept {
  munmap(data, round_up(bytes) + page_bytes());
}

std::span<std::byte> pages_within(std::span<std::byte> range) noexcept {
  const auto begin = reinterpret_cast<std::uintptr_t>(range.data());
  const std::size_t skipped = (page_bytes() - begin % page_bytes()) % page_bytes();
  if (skipped >= range.size()) return {};
  const std::span<std::byte> rest = range.subspan(skipped);
  return rest.first(rest.size() / page_bytes() * page_bytes());
}

std::span<std::byte> pages_around(std::span<std::byte> range) noexcept {
  if (range.empty()) return {};
  const std::size_t before = reinterpret_cast<std::uintptr_t>(range.data()) % page_bytes();
  return {range.data() - before, round_up(before + range.size())};
}

bool set_page_access(std::span<std::byte> pages, PageAccess access) noexcept {
  const int protection = access == PageAccess::none ? PROT_NONE : PROT_READ | PROT_WRITE;
  return pages.empty() || mprotect(pages.data(), pages.size(), protection) == 0;
}

}  // namespace strata
