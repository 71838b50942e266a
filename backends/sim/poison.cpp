#include "backends/sim/poison.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/core/page_memory.h"

namespace strata::sim {
namespace {

void set_access(std::span<std::byte> pages, PageAccess access) {
  if (!set_page_access(pages, access))
    throw Error(
        ErrorCode::runtime, "sim",
        fmt::format("the system refuses to change the access to {} bytes of memory", pages.size()),
        "poison fewer ranges, or raise vm.max_map_count");
}

}  // namespace

std::vector<std::span<std::byte>> PoisonedRanges::within(std::span<std::byte> range) const {
  std::vector<std::span<std::byte>> pieces;
  std::byte* const end = range.data() + range.size();
  auto at = ranges_.upper_bound(range.data());
  if (at != ranges_.begin()) --at;
  for (; at != ranges_.end() && at->first < end; ++at) {
    std::byte* const first = std::max(at->first, range.data());
    std::byte* const last = std::min(at->first + at->second, end);
    if (first < last) pieces.emplace_back(first, static_cast<std::size_t>(last - first));
  }
  return pieces;
}

void PoisonedRanges::poison(std::span<std::byte> range) {
  const std::span<std::byte> pages = pages_within(range);
  if (pages.empty()) return;
  set_access(pages, PageAccess::none);
  forget(pages);
  ranges_.emplace(pages.data(), pages.size());
}

void PoisonedRanges::cure(std::span<std::byte> range) {
  const std::span<std::byte> pages = pages_around(range);
  for (const std::span<std::byte> piece : within(pages)) set_access(piece, PageAccess::read_write);
  forget(pages);
}

void PoisonedRanges::forget(std::span<std::byte> range) {
  for (const std::span<std::byte> piece : within(range)) {
    const auto at = std::prev(ranges_.upper_bound(piece.data()));
    std::byte* const first = at->first;
    std::byte* const last = first + at->second;
    std::byte* const piece_end = piece.data() + piece.size();
    ranges_.erase(at);
    if (first < piece.data())
      ranges_.emplace(first, static_cast<std::size_t>(piece.data() - first));
    if (piece_end < last) ranges_.emplace(piece_end, static_cast<std::size_t>(last - piece_end));
  }
}

bool PoisonedRanges::poisoned(std::span<std::byte> range) const { return !within(range).empty(); }

PoisonedRanges::Opened::Opened(const PoisonedRanges& ranges, std::span<std::byte> range)
    : pieces_(ranges.within(pages_around(range))) {
  for (const std::span<std::byte> piece : pieces_) set_access(piece, PageAccess::read_write);
}

PoisonedRanges::Opened::~Opened() {
  for (const std::span<std::byte> piece : pieces_) (void)set_page_access(piece, PageAccess::none);
}

}  // namespace strata::sim
