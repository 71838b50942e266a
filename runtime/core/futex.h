#pragma once

#include <atomic>
#include <cstdint>

namespace strata {

/// Sleeps in the kernel while `word` holds `expected`, until someone wakes those who wait for it.
/// May return early for no reason. std::atomic::wait yields the CPU in a loop first, which the
/// token loop shall not do.
void futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected);

/// Wakes all who wait for `word`.
void futex_wake_all(const std::atomic<std::uint32_t>& word);

}  // namespace strata
