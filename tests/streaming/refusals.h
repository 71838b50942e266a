#pragma once

#include <cerrno>
#include <cstdint>
#include <functional>

namespace strata::test {

/// A system call that shall fail: number `call`, where its argument number `argument` (low half),
/// masked, has the value. Mask 0 and value 0 match every call.
struct Refusal {
  long call = 0;
  unsigned argument = 0;
  std::uint32_t mask = 0;
  std::uint32_t value = 0;
  int error = EPERM;
};

/// Runs `body` in a thread in which the call fails so (seccomp), as in threads that it starts.
/// False where this system lets us filter nothing; `body` has not run then.
bool with_refusal(const Refusal& refusal, const std::function<void()>& body);

}  // namespace strata::test
