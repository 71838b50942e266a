#include "backends/simt/common.h"
#include "backends/simt/overlap.h"
#include "backends/simt/reduce.h"

namespace strata::STRATA_SIMT {
namespace {

constexpr int kThreads = 256;

// Lanes before this one that voted.
STRATA_DEVICE int votes_before(std::uint64_t votes) {
  return bit_count(votes & ((std::uint64_t{1} << lane()) - 1));
}

struct Routes {
  Rows<const int> ids;  // (tokens, used)
  int used;
  int count;

  STRATA_DEVICE int expert(int route) const { return ids.row(route / used)[route % used]; }
};

// A block per expert, which needs nothing of the others: its first place is the number of routes
// of lower experts. Each warp has a part of the routes; it counts them, learns where the parts
// before it end, and then writes them in order. offsets (experts + 1), order (tokens * used).
STRATA_KERNEL STRATA_BOUNDS(kThreads) void sort_routes(Routes routes, int* offsets, Rows<int> order,
                                                       int experts) {
  take_turn();
  auto* lower = dynamic_shared<int>();
  auto* mine = lower + threads_x() / lane_count();
  const int expert = block_x();
  const int warps = threads_x() / lane_count();
  const int part = (routes.count + warps - 1) / warps;
  const int begin = min_of(warp() * part, routes.count);
  const int end = min_of(begin + part, routes.count);
  int fewer = 0;
  int equal = 0;
  for (int r = begin + lane(); r < end; r += lane_count()) {
    const int id = routes.expert(r);
    fewer += id < expert ? 1 : 0;
    equal += id == expert ? 1 : 0;
  }
  fewer = warp_sum(fewer);
  equal = warp_sum(equal);
  if (lane() == 0) {
    lower[warp()] = fewer;
    mine[warp()] = equal;
  }
  sync_block();
  int first = 0;
  for (int w = 0; w < warps; ++w) first += lower[w];
  if (thread_x() == 0) offsets[expert] = first;
  if (thread_x() == 0 && expert == experts - 1) offsets[experts] = routes.count;
  for (int w = 0; w < warp(); ++w) first += mine[w];
  for (int base = begin; base < end; base += lane_count()) {
    const int r = base + lane();
    const bool is_mine = r < end && routes.expert(r) == expert;
    const std::uint64_t votes = ballot(is_mine);
    if (is_mine) *order.row(first + votes_before(votes)) = r;
    first += bit_count(votes);
  }
}

bool supports(const OpDesc& op, const DeviceInfo&) {
  return is_i32_rows(op.in[0]) && is_i32_rows(op.out[0]) && is_i32_rows(op.out[1]);
}

// As many warps as there is work for: a decoded token has few routes.
unsigned threads_for(std::int64_t routes) {
  return routes <= 4 * kMaxLanes ? kMaxLanes : static_cast<unsigned>(kThreads);
}

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace) {
  const std::int32_t experts = std::get<MoeSort>(op.desc.attributes).experts;
  const TensorView& ids = operands.in[0];
  const std::int64_t count = ids.shape.elements();
  const Routes routes{rows_of<const int>(ids), static_cast<int>(ids.columns()),
                      static_cast<int>(count)};
  launch_overlapped(stream, sort_routes, row_grid(experts), threads_for(count),
                    2 * kThreads * sizeof(int), routes, operands.out[0].as<int>(),
                    rows_of<int>(operands.out[1]), experts);
}

PreparedOp prepare(Device&, const OpDesc& op) { return prepared(op, run); }

}  // namespace

const OpImpl moe_sort_impl{supports, prepare};

}  // namespace strata::STRATA_SIMT
