#include "apps/bench/result.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace strata::apps {
namespace {

// The better of two measurements; empty when neither was made or the device has no such thing.
std::optional<double> ceiling(const BenchResult& result, double Ceilings::* member) {
  double best = 0;
  if (result.before) best = std::max(best, (*result.before).*member);
  if (result.after) best = std::max(best, (*result.after).*member);
  return best > 0 ? std::optional(best) : std::nullopt;
}

double Ceilings::* peak_of(MatmulPath path) {
  if (path == MatmulPath::int8) return &Ceilings::int8_ops_per_second;
  return path == MatmulPath::bf16 ? &Ceilings::bf16_flops_per_second
                                  : &Ceilings::f32_flops_per_second;
}

}  // namespace

std::vector<double> BenchResult::tokens_per_second() const {
  std::vector<double> rates;
  for (std::int64_t ns : samples_ns)
    rates.push_back(static_cast<double>(test.tokens()) * 1e9 /
                    static_cast<double>(std::max<std::int64_t>(ns, 1)));
  return rates;
}

double average(const std::vector<double>& values) {
  if (values.empty()) return 0;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double deviation(const std::vector<double>& values) {
  if (values.size() < 2) return 0;
  const double mean = average(values);
  double sum = 0;
  for (double value : values) sum += (value - mean) * (value - mean);
  return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

BenchShare share_of_ceiling(const BenchResult& result) {
  BenchShare share;
  const BenchCase& test = result.test;
  if (result.samples_ns.empty() || (test.prompt > 0) == (test.generate > 0)) return share;
  const double tokens_per_second = average(result.tokens_per_second());
  if (test.generate > 0) {
    share.bytes_per_token = result.cost.bytes() / static_cast<double>(test.generate);
    share.read_bytes_per_second = *share.bytes_per_token * tokens_per_second;
    share.read_ceiling = ceiling(result, &Ceilings::read_bytes_per_second);
    if (share.read_ceiling) share.share = *share.read_bytes_per_second / *share.read_ceiling;
  } else {
    share.path = result.cost.path();
    share.flops = result.cost.flops;
    share.flops_per_second =
        result.cost.flops / static_cast<double>(test.prompt) * tokens_per_second;
    share.flops_ceiling = ceiling(result, peak_of(*share.path));
    if (share.flops_ceiling) share.share = *share.flops_per_second / *share.flops_ceiling;
  }
  return share;
}

}  // namespace strata::apps
