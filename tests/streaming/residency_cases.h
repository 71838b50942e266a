#pragma once

#include <cstdint>
#include <vector>

#include "runtime/streaming/residency.h"

namespace strata::tests {

inline constexpr std::uint64_t kMiB = 1 << 20;

inline BlockChoice block_of(std::uint64_t target) { return {target, target + 8192, target, 0}; }

/// Round sizes: 4 KiB of cache per layer and token, 64 KiB of activations per token of a step.
inline ResidencyRequest empty_request(std::uint64_t device_mib) {
  ResidencyRequest request;
  request.device = "sim:0";
  for (const std::uint64_t mib : {32, 16, 8, 4}) request.blocks.push_back(block_of(mib * kMiB));
  request.budgets = {device_mib * kMiB, 1024 * kMiB, 4096 * kMiB};
  request.kv_bytes = [](const StepShape& shape) {
    return 4096 * static_cast<std::uint64_t>(shape.context) *
           static_cast<std::uint64_t>(shape.sequences);
  };
  request.compute_bytes = [](const StepShape& shape) {
    return 65536 * static_cast<std::uint64_t>(shape.max_tokens);
  };
  request.context = 1024;
  return request;
}

inline PlanUnit unit_of(std::int32_t layer, UnitPart part, std::uint64_t bytes) {
  PlanUnit unit;
  unit.layer = layer;
  unit.part = part;
  unit.file_bytes = unit.device_bytes = unit.cpu_bytes = bytes;
  unit.flops_per_token = 4 * static_cast<double>(bytes);
  return unit;
}

inline ResidencyRequest dense_request(int layers, std::uint64_t layer_mib, std::uint64_t output_mib,
                                      std::uint64_t device_mib) {
  ResidencyRequest request = empty_request(device_mib);
  for (int i = 0; i < layers; ++i)
    request.units.push_back(unit_of(i, UnitPart::layer, layer_mib * kMiB));
  if (output_mib > 0) request.units.push_back(unit_of(layers, UnitPart::output, output_mib * kMiB));
  return request;
}

/// A PC: what the reference's examples have (streaming.md 3.4).
inline LinkSpeeds pc_links() {
  LinkSpeeds links;
  links.disk = 7e9;
  links.host_copy = 40e9;
  links.upload = 25e9;
  links.device_read = 800e9;
  links.cpu_read = 60e9;
  links.device_flops = 80e12;
  links.cpu_flops = 1e12;
  return links;
}

inline int count_of(const ResidencyPlan& plan, Tier tier) {
  int count = 0;
  for (const Tier t : plan.tiers) count += t == tier ? 1 : 0;
  return count;
}

}  // namespace strata::tests
