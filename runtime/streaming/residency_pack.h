#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace strata {

// Parts of the planner that only residency*.cpp use.

/// Whether item `i` of `all` is among `chosen` evenly spread ones (Bresenham).
bool is_spread(std::size_t i, std::size_t chosen, std::size_t all);

/// Which of units of these sizes, in the order of execution, to keep in `room` bytes: as many bytes
/// as can be, of each size evenly spread. More room never keeps fewer bytes (where sizes have no
/// common measure: but for a few in a hundred thousand).
std::vector<bool> choose_units(std::span<const std::uint64_t> sizes, std::uint64_t room);

/// The same of units that are small beside all: a little less may be kept, and so evenly that up to
/// every place in the order the kept share of the bytes is the same but for one unit.
std::vector<bool> spread_bytes(std::span<const std::uint64_t> sizes, std::uint64_t room);

}  // namespace strata
