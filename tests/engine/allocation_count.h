#pragma once

#include <cstdint>

namespace strata::test {

/// Calls of operator new so far, in the whole program and on all threads.
std::uint64_t allocation_count();

}  // namespace strata::test
