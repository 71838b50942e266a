#include "tests/reference/norm.h"

#include <cmath>
#include <cstddef>

namespace strata::reference {

std::vector<double> rms_norm(const std::vector<double>& x, const std::vector<double>& w,
                             double eps) {
  std::vector<double> y(x.size());
  const std::size_t n = w.size();
  for (std::size_t start = 0; start < x.size(); start += n) {
    double mean_square = 0;
    for (std::size_t i = 0; i < n; ++i)
      mean_square += x[start + i] * x[start + i] / static_cast<double>(n);
    for (std::size_t i = 0; i < n; ++i)
      y[start + i] = x[start + i] / std::sqrt(mean_square + eps) * w[i];
  }
  return y;
}

double swiglu(double gate, double up) { return gate / (1.0 + std::exp(-gate)) * up; }

}  // namespace strata::reference
