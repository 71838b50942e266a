#include <cmath>

#include "backends/simt/common.h"
#include "backends/simt/exact.h"
#include "backends/simt/overlap.h"
#include "backends/simt/reduce.h"

namespace strata::STRATA_SIMT {
namespace {

constexpr int kMostExperts = 4096;  // their logits are in shared memory

// The order of choice: larger logit first, then lower id.
struct Choice {
  float logit;
  int id;
};
STRATA_DEVICE bool comes_before(const Choice& a, const Choice& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

// The expert that comes next after `last`; there is one as long as fewer than all are chosen, so
// none is ever chosen twice. Every lane gets it.
STRATA_DEVICE Choice next_choice(const float* logits, int experts, const Choice& last) {
  Choice best = {-INFINITY, experts};
  for (int e = lane(); e < experts; e += lane_count()) {
    const Choice mine = {logits[e], e};
    if (comes_before(last, mine) && comes_before(mine, best)) best = mine;
  }
  for (int mask = lane_count() / 2; mask > 0; mask /= 2) {
    const Choice other = {shuffle_xor(best.logit, mask), shuffle_xor(best.id, mask)};
    if (comes_before(other, best)) best = other;
  }
  return best;
}

// exp(logit - largest); equal infinities count as equal numbers.
STRATA_DEVICE double share_of(float logit, float largest) {
  if (logit == largest) return 1.0;
  return exp_of_negative(static_cast<double>(logit) - static_cast<double>(largest));
}

// A block per token, of which one warp works: logits (tokens, experts); ids and weights (tokens,
// used).
STRATA_KERNEL STRATA_BOUNDS(kMaxLanes) void route_tokens(Rows<const float> logits, Rows<int> ids,
                                                         Rows<float> weights, int experts, int used,
                                                         bool renormalise) {
  take_turn();
  auto* clean = dynamic_shared<float>();  // (experts), NaN as -inf
  auto* chosen = clean + experts;         // (used)
  const int t = block_x();
  if (warp() > 0) return;
  for (int e = lane(); e < experts; e += lane_count()) {
    const float logit = logits.row(t)[e];
    clean[e] = is_nan(logit) ? -INFINITY : logit;
  }
  sync_warp();
  Choice last = {INFINITY, -1};
  float largest = 0.0F;
  for (int c = 0; c < used; ++c) {
    last = next_choice(clean, experts, last);
    if (c == 0) largest = last.logit;
    if (lane() != 0) continue;
    ids.row(t)[c] = last.id;
    chosen[c] = last.logit;
  }
  sync_warp();
  double total = 0.0;
  const float* counted = renormalise ? chosen : clean;
  for (int i = lane(); i < (renormalise ? used : experts); i += lane_count())
    total += share_of(counted[i], largest);
  total = warp_sum(total);
  for (int c = lane(); c < used; c += lane_count())
    weights.row(t)[c] = static_cast<float>(share_of(chosen[c], largest) / total);
}

bool supports(const OpDesc& op, const DeviceInfo&) {
  const MoeRoute& route = std::get<MoeRoute>(op.attributes);
  return is_f32_rows(op.in[0]) && is_i32_rows(op.out[0]) && is_f32_rows(op.out[1]) &&
         route.used >= 1 && route.used <= route.experts && route.experts <= kMostExperts;
}

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace) {
  const MoeRoute& route = std::get<MoeRoute>(op.desc.attributes);
  const TensorView& logits = operands.in[0];
  if (logits.rows() == 0) return;
  launch_overlapped(stream, route_tokens, row_grid(logits.rows()), kMaxLanes,
                    static_cast<std::size_t>(route.experts + route.used) * sizeof(float),
                    rows_of<const float>(logits), rows_of<int>(operands.out[0]),
                    rows_of<float>(operands.out[1]), route.experts, route.used, route.renormalise);
}

PreparedOp prepare(Device&, const OpDesc& op) { return prepared(op, run); }

}  // namespace

const OpImpl moe_route_impl{supports, prepare};

}  // namespace strata::STRATA_SIMT
