#pragma once

namespace strata::test {

/// The project's top folder on the machine that built the tests, absolute.
const char* source_dir();

}  // namespace strata::test
