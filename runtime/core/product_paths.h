#pragma once

#include <string>

namespace strata {

/// How a device multiplies, where devices of its kind differ in that.
struct ProductPaths {
  std::string prompts;     ///< steps of many tokens: "cooperative matrices (KHR), f16 16x16x16"
  std::string few_tokens;  ///< decoding: "integer dot products, int8"
  std::string why_without_coopmat;  ///< "" where prompts are multiplied by cooperative matrices
};

}  // namespace strata
