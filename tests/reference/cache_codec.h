#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "runtime/core/dtype.h"

namespace strata::reference {

/// Bytes of `values` in a cache dtype (F32, F16, BF16, Q8_0), and back: worked out with plain
/// arithmetic on doubles, not on bit patterns.
std::vector<std::byte> encode_row(DType dtype, std::span<const float> values);
std::vector<double> decode_row(DType dtype, std::span<const std::byte> bytes);

}  // namespace strata::reference
