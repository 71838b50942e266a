#pragma once

#include <array>
#include <cstdint>

namespace strata::text {

/// One block of Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw,
/// "Parallel random numbers: as easy as 1, 2, 3" (SC 2011): a bijection of the counter for each
/// key, so that any number of any stream is had without making those before it. Not for secrets.
std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key);

/// The random number that belongs to one token: uniform in [0, 1), 53 bits. It depends on nothing
/// but its arguments, so a seed gives the same tokens whatever else is in the batch and wherever a
/// request is taken up again. Never fails.
double uniform_at(std::uint64_t seed, std::uint64_t sequence, std::uint64_t position);

}  // namespace strata::text
