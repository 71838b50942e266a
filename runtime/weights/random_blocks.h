#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "runtime/core/dtype.h"

namespace strata {

/// Whether fill_random_blocks() knows a type: all that weights are stored in.
bool has_random_blocks(DType dtype);

/// Fills `out`, whole blocks of `dtype`, with random numbers of mean 0 and roughly the given
/// standard deviation: random quants under scales that vary from block to block, as in a real
/// file, finite and free of what no quantizer writes. The same seed gives the same bytes on every
/// machine. Throws Error(runtime) for a type that holds no weights.
void fill_random_blocks(DType dtype, double deviation, std::uint64_t seed,
                        std::span<std::byte> out);

/// A seed for one piece of one thing of a model: any two of them have unrelated streams.
std::uint64_t derive_seed(std::uint64_t seed, std::string_view name, std::uint64_t piece);

}  // namespace strata
