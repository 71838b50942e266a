#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "runtime/core/dtype.h"

namespace strata::bench {

/// Fills `bytes` (whole blocks) with random blocks of `dtype` whose scales are those of a model:
/// quants are all possible ones, values have a spread of about 0.02.
void fill_random(DType dtype, std::span<std::byte> bytes, std::uint64_t seed);

/// Random numbers in [-1, 1).
void fill_uniform(std::span<float> values, std::uint64_t seed);

}  // namespace strata::bench
