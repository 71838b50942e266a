#pragma once

#include <ctime>

namespace strata::test {

/// Seconds of processor time of this thread: what a test may bound on a machine that others use
/// too.
inline double cpu_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

/// The time that refusing a hostile file may take; sanitizers slow everything down.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr double kHostileSeconds = 10;
#else
inline constexpr double kHostileSeconds = 1;
#endif

}  // namespace strata::test
