#include "runtime/engine/weight_slabs.h"

#include <algorithm>

namespace strata {
namespace {

constexpr std::size_t kSlabBytes = std::size_t{256} << 20;

}  // namespace

std::vector<std::byte*> WeightSlabs::place(Device& device, std::span<const std::size_t> sizes) {
  const std::uint64_t view = device.info().max_view_bytes;
  const std::size_t most = view == 0 ? kSlabBytes : std::min<std::uint64_t>(view, kSlabBytes);
  std::vector<std::byte*> places;
  places.reserve(sizes.size());
  for (std::size_t first = 0; first < sizes.size();) {
    std::size_t end = first;
    std::size_t bytes = 0;
    while (end < sizes.size() && (end == first || bytes + room(sizes[end]) <= most))
      bytes += room(sizes[end++]);
    slabs_.push_back(device.allocate(bytes, MemoryKind::device));
    std::byte* at = slabs_.back().data();
    for (; first < end; at += room(sizes[first++])) places.push_back(at);
  }
  return places;
}

}  // namespace strata
