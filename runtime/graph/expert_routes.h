#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/core/device.h"
#include "runtime/core/tensor.h"

namespace strata {

/// The routes of one layer's tokens as moe_sort made them, on the host, and what a launch reads of
/// them when its experts lie in slots. Used by the executor for layers whose experts are streamed.
class ExpertRoutes {
 public:
  /// Bytes of the two ranges below, for layers of `experts` experts and steps of `routes` routes.
  static std::size_t host_bytes(std::int64_t experts, std::int64_t routes);
  static std::size_t device_bytes(std::int64_t experts, std::int64_t routes);

  ExpertRoutes() = default;
  /// `host` is pinned. Both ranges are borrowed and 64-byte aligned.
  ExpertRoutes(BufferSpan host, BufferSpan device, std::int64_t experts);

  /// Brings offsets (1, experts + 1) and order (routes, 1) to the host: waits for `stream`.
  void fetch(Stream& stream, const TensorView& offsets, const TensorView& order);
  /// The experts that have routes, rising.
  std::span<const std::int32_t> experts() const { return experts_; }

  /// What moe_sort would have made, had it known only the experts with a slot, by that slot.
  struct Tables {
    TensorView offsets;  ///< like the fetched one
    TensorView order;    ///< like the fetched one; what lies behind the last slot's is not used
  };
  /// Enqueues the tables of `experts` (some of experts()), expert i in slots[i] < experts, or
  /// without routes where that is < 0. They are valid until the next fetch(), or until
  /// device_bytes() of them have been made: then the stream is waited for.
  Tables upload(Stream& stream, std::span<const std::int32_t> experts,
                std::span<const std::int32_t> slots);

 private:
  std::int32_t* fill(std::span<const std::int32_t> experts, std::span<const std::int32_t> slots,
                     std::int32_t* table) const;

  BufferSpan host_;
  BufferSpan device_;
  std::size_t tables_at_ = 0;  // of the host's range; the device's has tables only
  std::size_t used_ = 0;       // bytes of tables made since they were last known to be read
  TensorView offsets_;         // as fetched, where they are on the host
  TensorView order_;
  std::vector<std::int32_t> experts_;
};

}  // namespace strata
