#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "tests/house/source_text.h"

namespace strata::house {

inline constexpr std::size_t kMostFileLines = 600;
inline constexpr std::size_t kMostFunctionLines = 100;
inline constexpr std::size_t kMostKernelLines = 150;  ///< a function of a device or SIMD kernel

/// A function's definition, from the first line of its signature to its closing brace.
struct FunctionSpan {
  std::string signature;  ///< its first words, for messages
  std::size_t first_line;
  std::size_t lines;
};

/// The functions defined in a C++, CUDA or GLSL text, found by their braces: a lambda counts as
/// part of the function around it, a macro's body does not count.
std::vector<FunctionSpan> find_functions(std::string_view text);

/// One "path:line: ..." for each file and function over the limits. Tables (.def, .inc) are exempt.
std::vector<std::string> size_violations(const std::vector<SourceFile>& files);

}  // namespace strata::house
