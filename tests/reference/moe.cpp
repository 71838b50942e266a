#include "tests/reference/moe.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>

namespace strata::reference {

Routing route(const std::vector<double>& logits, int used, bool renormalise) {
  std::vector<double> clean = logits;
  for (double& v : clean)
    if (std::isnan(v)) v = -std::numeric_limits<double>::infinity();
  std::vector<int> ids(clean.size());
  std::iota(ids.begin(), ids.end(), 0);
  std::stable_sort(ids.begin(), ids.end(), [&](int a, int b) {
    return clean[static_cast<std::size_t>(a)] > clean[static_cast<std::size_t>(b)];
  });
  const double largest = clean[static_cast<std::size_t>(ids[0])];
  auto share = [&](int id) {
    const double v = clean[static_cast<std::size_t>(id)];
    return v == largest ? 1.0 : std::exp(v - largest);
  };
  Routing routing;
  double total = 0;
  for (std::size_t i = 0; i < ids.size(); ++i)
    if (!renormalise || i < static_cast<std::size_t>(used)) total += share(ids[i]);
  for (std::size_t i = 0; i < static_cast<std::size_t>(used); ++i) {
    routing.ids.push_back(ids[i]);
    routing.weights.push_back(share(ids[i]) / total);
  }
  return routing;
}

}  // namespace strata::reference
