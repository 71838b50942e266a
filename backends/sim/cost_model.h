#pragma once

#include <cstdint>
#include <random>

#include "runtime/ops/op_impl.h"

namespace strata::sim {

/// One direction of the simulated copy engine.
struct LinkSpeed {
  double bytes_per_second = 0;  ///< 0: copies take no time but the latency
  std::int64_t latency_ns = 0;  ///< of each copy
  /// Standard deviation of a copy's time without latency as a share of its mean, 0 to 1: that
  /// share of the time is exponentially distributed, the rest is fixed.
  double jitter = 0;
};

/// How long work takes on a simulated device.
struct DeviceSpeeds {
  LinkSpeed upload = {};
  LinkSpeed download = {};
  double device_bytes_per_second = 0;  ///< that kernels read and write; 0: no time
  double device_flops = 0;             ///< per second; 0: no time
  std::int64_t launch_ns = 0;          ///< of each op or fill, added to what it moves and computes
  std::int64_t attention_tokens = 0;   ///< context that an attention op is taken to read
};

/// Durations in nanoseconds. The same calls give the same numbers on every run.
class CostModel {
 public:
  CostModel(const DeviceSpeeds& speeds, std::uint64_t seed) : speeds_(speeds), random_(seed) {}

  std::int64_t upload_ns(std::uint64_t bytes) { return copy_ns(speeds_.upload, bytes); }
  std::int64_t download_ns(std::uint64_t bytes) { return copy_ns(speeds_.download, bytes); }
  /// A kernel that moves and computes so much: whichever takes longer.
  std::int64_t kernel_ns(std::uint64_t bytes, std::uint64_t flops) const;
  /// An op on these operands, whose views say how many rows are live.
  std::int64_t op_ns(const OpDesc& op, const Operands& operands) const;

 private:
  std::int64_t copy_ns(const LinkSpeed& link, std::uint64_t bytes);

  DeviceSpeeds speeds_;
  std::mt19937_64 random_;
};

}  // namespace strata::sim
