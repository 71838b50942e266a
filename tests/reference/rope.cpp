#include "tests/reference/rope.h"

#include <complex>
#include <cstddef>

namespace strata::reference {

std::vector<double> rope_head(const std::vector<double>& head, const std::vector<double>& angles,
                              bool neighbours, double magnitude) {
  std::vector<double> turned = head;
  for (std::size_t i = 0; i < angles.size(); ++i) {
    const std::size_t first = neighbours ? 2 * i : i;
    const std::size_t second = neighbours ? 2 * i + 1 : i + angles.size();
    const std::complex<double> z =
        std::complex<double>(head[first], head[second]) * std::polar(magnitude, angles[i]);
    turned[first] = z.real();
    turned[second] = z.imag();
  }
  return turned;
}

}  // namespace strata::reference
