#pragma once

#include <cstdint>
#include <vector>

#include "tests/reference/dequantize.h"

namespace strata::reference {

/// A value in double precision and the sum of the magnitudes of all terms that it is made of.
using Sum = Element;

/// x . w + bias over equally many columns.
Sum dot(const std::vector<double>& x, const std::vector<Element>& w, double bias);

/// A row of Layout::quantized (panels.h) as the values that it
/// stands for.
std::vector<double> quantized_values(const std::byte* row, std::int64_t columns);

}  // namespace strata::reference
