#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <exception>

#include "runtime/core/error.h"

namespace strata::bench {

/// What main() of a benchmark returns: 0 after `body`, else the status of its error, which is said
/// with what to try.
template <typename Body>
int run_program(Body&& body) {
  try {
    body();
    return 0;
  } catch (const Error& error) {
    fmt::print(stderr, "error: {}\n  try: {}\n", error.what(), error.hint());
    return error_class(error.code()).exit_status;
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 1;
  }
}

}  // namespace strata::bench
