#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/core/dtype.h"

namespace strata::reference {

/// The weight in row `row` < 16 and column `column` of a panel of 16 rows of a block dtype, decoded
/// on its own from the description of panels in backends/cpu/kernels/panels.h.
double panel_value(DType dtype, const std::byte* panel, int row, std::int64_t column);

}  // namespace strata::reference
