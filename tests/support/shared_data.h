#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "tests/support/source_dir.h"

namespace strata::test {

/// The folder of reference data made by other programs: $STRATA_SHARED, else "../shared" beside the
/// project. Empty when there is none (a user's checkout).
inline std::filesystem::path shared_root() {
  if (const char* named = std::getenv("STRATA_SHARED"); named && *named) return named;
  const std::filesystem::path beside = std::filesystem::path(source_dir()).parent_path() / "shared";
  return std::filesystem::exists(beside / "fixtures") ? beside : std::filesystem::path();
}

/// The project's own top folder.
inline std::filesystem::path source_root() { return source_dir(); }

}  // namespace strata::test

/// Skips the running test, saying why, where the shared reference data is missing.
#define STRATA_NEEDS_SHARED()                                                                    \
  do {                                                                                           \
    if (strata::test::shared_root().empty())                                                     \
      GTEST_SKIP() << "SKIP: reference data not found; set STRATA_SHARED to the folder with it"; \
  } while (false)
