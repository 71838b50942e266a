#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace strata {

/// Whole pages for `bytes` bytes, cleared, with a page behind them that faults when it is touched.
/// Pages never touched cost nothing. Null when the system refuses.
std::byte* map_pages(std::size_t bytes) noexcept;
/// Gives memory of map_pages() back; `bytes` as then.
void unmap_pages(std::byte* data, std::size_t bytes) noexcept;

/// The whole pages that lie within a range; empty when it holds none.
std::span<std::byte> pages_within(std::span<std::byte> range) noexcept;
/// The whole pages that a range touches; empty for an empty range.
std::span<std::byte> pages_around(std::span<std::byte> range) noexcept;

enum class PageAccess : std::uint8_t { none, read_write };

/// What may be done with whole pages of map_pages() from now on: touching a page without access is
/// a SIGSEGV. False when the system refuses (it keeps a limited number of ranges per process).
bool set_page_access(std::span<std::byte> pages, PageAccess access) noexcept;

}  // namespace strata
