#include "tests/support/source_dir.h"

namespace strata::test {

const char* source_dir() { return STRATA_SOURCE_DIR; }

}  // namespace strata::test
