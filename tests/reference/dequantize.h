#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "runtime/core/dtype.h"

namespace strata::reference {

/// One weight in double precision, and the sum of the magnitudes that it is made of (scale times
/// quant, and minimum): what an f32 computation of it may be wrong by is relative to the latter.
struct Element {
  double value;
  double magnitude;
};

/// Element `column` of a row of `dtype` at `row`, decoded on its own from the layout's description
/// (formats.md §2.2 of the project's facts; GGUF specification). No alignment needed.
Element element(DType dtype, const std::byte* row, std::int64_t column);

/// A whole row.
std::vector<Element> row_elements(DType dtype, const std::byte* row, std::int64_t columns);

/// IEEE 754 binary16 as double.
double half_value(std::uint16_t bits);

}  // namespace strata::reference
