#pragma once

#include <vector>

namespace strata::reference {

/// RMS norm of groups of w.size() elements in double precision.
std::vector<double> rms_norm(const std::vector<double>& x, const std::vector<double>& w,
                             double eps);

/// gate * sigmoid(gate) * up in double precision.
double swiglu(double gate, double up);

}  // namespace strata::reference
