#include "runtime/graph/expert_routes.h"

#include <algorithm>

namespace strata {
namespace {

// Two launches of a layer, gate with up and down, in two passes each, until they wait for reuse.
constexpr std::size_t kTables = 4;

constexpr std::size_t aligned(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

std::size_t bytes_of(std::int64_t count) {
  return aligned(static_cast<std::size_t>(count) * sizeof(std::int32_t));
}

std::size_t table_bytes(std::int64_t experts, std::int64_t routes) {
  return bytes_of(experts + 1) + bytes_of(routes);
}

BufferSpan part(const BufferSpan& whole, std::size_t at, std::size_t bytes) {
  return {whole.data + at, bytes, whole.kind};
}

}  // namespace

std::size_t ExpertRoutes::host_bytes(std::int64_t experts, std::int64_t routes) {
  return (1 + kTables) * table_bytes(experts, routes);
}

std::size_t ExpertRoutes::device_bytes(std::int64_t experts, std::int64_t routes) {
  return kTables * table_bytes(experts, routes);
}

ExpertRoutes::ExpertRoutes(BufferSpan host, BufferSpan device, std::int64_t experts)
    : host_(host), device_(device), tables_at_(host.bytes - device.bytes) {
  experts_.reserve(static_cast<std::size_t>(experts));
}

void ExpertRoutes::fetch(Stream& stream, const TensorView& offsets, const TensorView& order) {
  const auto offset_bytes = static_cast<std::size_t>(offsets.shape.elements()) * sizeof(int);
  const auto order_bytes = static_cast<std::size_t>(order.shape.elements()) * sizeof(int);
  const BufferSpan to_offsets = part(host_, 0, offset_bytes);
  const BufferSpan to_order = part(host_, aligned(offset_bytes), order_bytes);
  stream.copy(to_offsets, {offsets.data, offset_bytes, MemoryKind::device});
  stream.copy(to_order, {order.data, order_bytes, MemoryKind::device});
  stream.synchronize();
  used_ = 0;
  offsets_ = offsets;
  offsets_.data = to_offsets.data;
  order_ = order;
  order_.data = to_order.data;
  experts_.clear();
  const auto* begins = offsets_.as<const std::int32_t>();
  const auto count = static_cast<std::int32_t>(offsets.shape.elements()) - 1;
  for (std::int32_t e = 0; e < count; ++e)
    if (begins[e] < begins[e + 1]) experts_.push_back(e);
}

// Counts and then deals out the routes of each slot, as moe_sort does; returns where they end.
std::int32_t* ExpertRoutes::fill(std::span<const std::int32_t> experts,
                                 std::span<const std::int32_t> slots, std::int32_t* table) const {
  const auto* begins = offsets_.as<const std::int32_t>();
  const auto count = static_cast<std::size_t>(offsets_.shape.elements());
  std::fill_n(table, count, 0);
  for (std::size_t i = 0; i < experts.size(); ++i)
    if (slots[i] >= 0) table[slots[i] + 1] = begins[experts[i] + 1] - begins[experts[i]];
  for (std::size_t s = 1; s < count; ++s) table[s] += table[s - 1];
  std::int32_t* const order = table + bytes_of(static_cast<std::int64_t>(count)) / sizeof(*table);
  for (std::size_t i = 0; i < experts.size(); ++i)
    if (slots[i] >= 0)
      std::copy(order_.as<const std::int32_t>() + begins[experts[i]],
                order_.as<const std::int32_t>() + begins[experts[i] + 1], order + table[slots[i]]);
  return order + table[count - 1];
}

ExpertRoutes::Tables ExpertRoutes::upload(Stream& stream, std::span<const std::int32_t> experts,
                                          std::span<const std::int32_t> slots) {
  const std::int64_t offset_count = offsets_.shape.elements();
  const std::size_t bytes = table_bytes(offset_count - 1, order_.shape.elements());
  if (used_ + bytes > device_.bytes) {
    stream.synchronize();
    used_ = 0;
  }
  std::byte* const from = host_.data + tables_at_ + used_;
  std::byte* const to = device_.data + used_;
  used_ += bytes;
  const std::int32_t* const end = fill(experts, slots, reinterpret_cast<std::int32_t*>(from));
  const auto filled = static_cast<std::size_t>(reinterpret_cast<const std::byte*>(end) - from);
  stream.copy({to, filled, device_.kind}, {from, filled, host_.kind});
  Tables tables{offsets_, order_};
  tables.offsets.data = to;
  tables.order.data = to + bytes_of(offset_count);
  return tables;
}

}  // namespace strata
