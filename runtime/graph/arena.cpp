#include "runtime/graph/arena.h"

#include <algorithm>
#include <numeric>

namespace strata {
namespace {

std::size_t align_up(std::size_t bytes) {
  return (bytes + kArenaAlign - 1) / kArenaAlign * kArenaAlign;
}

bool overlap_in_time(const ArenaRequest& a, const ArenaRequest& b) {
  return a.first <= b.last && b.first <= a.last;
}

// The lowest offset at which `request` meets none of the placed ones that are alive with it;
// `placed` is sorted by offset.
std::size_t lowest_gap(const ArenaRequest& request,
                       const std::vector<const ArenaRequest*>& placed) {
  std::size_t offset = 0;
  for (const ArenaRequest* other : placed) {
    if (!overlap_in_time(request, *other)) continue;
    if (offset + request.bytes <= other->offset) break;
    offset = std::max(offset, align_up(other->offset + other->bytes));
  }
  return offset;
}

}  // namespace

std::size_t layout_arena(std::vector<ArenaRequest>& requests) {
  std::vector<std::size_t> order(requests.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return requests[a].bytes > requests[b].bytes;
  });
  std::vector<const ArenaRequest*> placed;
  std::size_t total = 0;
  for (std::size_t index : order) {
    ArenaRequest& request = requests[index];
    request.offset = lowest_gap(request, placed);
    total = std::max(total, align_up(request.offset + request.bytes));
    const auto after = std::upper_bound(
        placed.begin(), placed.end(), request.offset,
        [](std::size_t offset, const ArenaRequest* other) { return offset < other->offset; });
    placed.insert(after, &request);
  }
  return total;
}

}  // namespace strata
