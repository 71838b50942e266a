#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace strata {

/// A block of memory that is needed from node `first` to node `last`, both included.
struct ArenaRequest {
  std::size_t bytes = 0;
  std::int32_t first = 0;
  std::int32_t last = 0;
  std::size_t offset = 0;  ///< result, a multiple of kArenaAlign
};

inline constexpr std::size_t kArenaAlign = 64;

/// Gives every request an offset so that requests alive at the same node do not overlap. Largest
/// first, each at the lowest gap that fits (greedy by size: Pisarchyk & Lee 2020). Returns the
/// bytes needed.
std::size_t layout_arena(std::vector<ArenaRequest>& requests);

}  // namespace strata
