#pragma once

#include <vector>

namespace strata::reference {

/// Turns the pairs of one head in the complex plane: pair i by `angles[i]`, stretched by
/// `magnitude`. Pairs are neighbours when `neighbours`, else half of the turned part apart.
std::vector<double> rope_head(const std::vector<double>& head, const std::vector<double>& angles,
                              bool neighbours, double magnitude);

}  // namespace strata::reference
