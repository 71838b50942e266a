#include "tests/reference/linear.h"

#include <bit>
#include <cmath>
#include <cstring>

namespace strata::reference {

Sum dot(const std::vector<double>& x, const std::vector<Element>& w, double bias) {
  Sum sum{bias, std::abs(bias)};
  for (std::size_t c = 0; c < x.size(); ++c) {
    sum.value += x[c] * w[c].value;
    sum.magnitude += std::abs(x[c]) * w[c].magnitude;
  }
  return sum;
}

std::vector<double> quantized_values(const std::byte* row, std::int64_t columns) {
  std::vector<double> values;
  for (std::int64_t c = 0; c < columns; ++c) {
    float scale = 0;
    std::memcpy(&scale, row + columns + c / 32 * 4, sizeof(scale));
    values.push_back(static_cast<double>(scale) * std::bit_cast<signed char>(row[c]));
  }
  return values;
}

}  // namespace strata::reference
