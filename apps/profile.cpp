#include "apps/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace strata::apps {

void Profile::report(const Console& console) const {
  if (!on_) return;
  struct Sum {
    std::size_t op = 0;
    std::int64_t runs = 0;
    std::int64_t ns = 0;
  };
  std::array<Sum, kOpCount> sums{};
  std::int64_t total_ns = 0;
  for (std::size_t i = 0; i < kOpCount; ++i) sums[i].op = i;
  for (const OpSample& sample : samples_) {
    Sum& sum = sums[static_cast<std::size_t>(sample.kind)];
    ++sum.runs;
    sum.ns += sample.end_ns - sample.begin_ns;
    total_ns += sample.end_ns - sample.begin_ns;
  }
  std::sort(sums.begin(), sums.end(), [](const Sum& a, const Sum& b) { return a.ns > b.ns; });
  console.note(fmt::format("{:<16} {:>10} {:>12} {:>10} {:>6}", "op", "runs", "ms", "us/run", "%"));
  for (const Sum& sum : sums) {
    if (sum.runs == 0) continue;
    const double us = static_cast<double>(sum.ns) * 1e-3;
    console.note(fmt::format("{:<16} {:>10} {:>12.2f} {:>10.2f} {:>6.1f}", kOps[sum.op].name,
                             sum.runs, us * 1e-3, us / static_cast<double>(sum.runs),
                             100.0 * static_cast<double>(sum.ns) / static_cast<double>(total_ns)));
  }
}

}  // namespace strata::apps
