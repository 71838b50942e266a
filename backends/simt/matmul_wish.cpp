#include "backends/simt/matmul_wish.h"

#include <fmt/format.h>

#include <cstdlib>
#include <string>

#include "runtime/core/error.h"

namespace strata::STRATA_SIMT {

MatmulWish matmul_wish() {
  const char* const word = std::getenv("STRATA_MATMUL");
  const std::string text = word != nullptr ? word : "";
  if (text.empty() || text == "measured") return MatmulWish::measured;
  if (text == "own") return MatmulWish::own;
  if (text == "library") return MatmulWish::library;
  throw Error(ErrorCode::usage, "STRATA_MATMUL", fmt::format("\"{}\" is none of its words", text),
              "one of: measured, own, library");
}

}  // namespace strata::STRATA_SIMT
