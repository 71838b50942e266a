#include "backends/sim/cost_model.h"

#include <algorithm>
#include <cmath>

namespace strata::sim {
namespace {

double seconds(double amount, double per_second) {
  return per_second > 0 ? amount / per_second : 0.0;
}

std::int64_t nanoseconds(double time_s) { return std::llround(time_s * 1e9); }

std::vector<TensorDesc> described(std::span<const TensorView> views) {
  std::vector<TensorDesc> descs;
  descs.reserve(views.size());
  for (const TensorView& view : views)
    descs.push_back(view.data == nullptr ? TensorDesc{}
                                         : TensorDesc{view.dtype, view.layout, view.shape});
  return descs;
}

}  // namespace

std::int64_t CostModel::kernel_ns(std::uint64_t bytes, std::uint64_t flops) const {
  const double memory = seconds(static_cast<double>(bytes), speeds_.device_bytes_per_second);
  const double compute = seconds(static_cast<double>(flops), speeds_.device_flops);
  return speeds_.launch_ns + nanoseconds(std::max(memory, compute));
}

std::int64_t CostModel::op_ns(const OpDesc& op, const Operands& operands) const {
  const OpDesc live{op.attributes, described(operands.in), described(operands.inout),
                    described(operands.out)};
  const OpCost cost = op_cost(live, speeds_.attention_tokens);
  return kernel_ns(cost.bytes_read + cost.bytes_written, cost.flops);
}

// The exponential part by hand: the standard library's distributions differ from one to the next.
std::int64_t CostModel::copy_ns(const LinkSpeed& link, std::uint64_t bytes) {
  const double mean = seconds(static_cast<double>(bytes), link.bytes_per_second);
  double factor = 1.0;
  if (link.jitter > 0) {
    const double uniform = static_cast<double>(random_() >> 11) * 0x1p-53;
    factor += link.jitter * (-std::log1p(-uniform) - 1.0);
  }
  return link.latency_ns + nanoseconds(mean * factor);
}

}  // namespace strata::sim
