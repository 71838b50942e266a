#pragma once

#include <cstdint>

namespace strata::text {

/// A place in a vocabulary, 0 <= id < size. Signed because files and users write -1 for "none".
using TokenId = std::int32_t;

}  // namespace strata::text
