#include <cmath>

#include "backends/cpu/ops/common.h"

namespace strata::cpu {
namespace {

bool supports(const OpDesc& op, const DeviceInfo&) {
  const MoeRoute& route = std::get<MoeRoute>(op.attributes);
  return is_f32_rows(op.in[0]) && is_i32_rows(op.out[0]) && is_f32_rows(op.out[1]) &&
         route.used >= 1 && route.used <= route.experts;
}

float logit_or_least(float logit) { return std::isnan(logit) ? -INFINITY : logit; }

// The expert that comes next after (value, id) in the order "larger logit first, then lower id".
// There is one as long as fewer than all have been taken, so none is ever chosen twice.
std::int32_t next_expert(const float* logits, std::int32_t experts, float value, std::int32_t id) {
  std::int32_t best = -1;
  float best_value = 0.0F;
  for (std::int32_t e = 0; e < experts; ++e) {
    const float v = logit_or_least(logits[e]);
    const bool after = v < value || (v == value && e > id);
    if (after && (best < 0 || v > best_value)) {
      best = e;
      best_value = v;
    }
  }
  return best;
}

// exp(logit - largest); equal infinities count as equal numbers.
double exponential(float logit, float largest) {
  return logit == largest ? 1.0 : std::exp(double{logit} - double{largest});
}

void route_token(const MoeRoute& route, const float* logits, std::int32_t* ids, float* weights) {
  float value = INFINITY;
  std::int32_t id = -1;
  for (std::int32_t c = 0; c < route.used; ++c) {
    id = next_expert(logits, route.experts, value, id);
    value = logit_or_least(logits[id]);
    ids[c] = id;
  }
  const float largest = logit_or_least(logits[ids[0]]);
  double total = 0.0;
  const std::int32_t counted = route.renormalise ? route.used : route.experts;
  for (std::int32_t i = 0; i < counted; ++i)
    total += exponential(logit_or_least(logits[route.renormalise ? ids[i] : i]), largest);
  for (std::int32_t c = 0; c < route.used; ++c)
    weights[c] = static_cast<float>(exponential(logit_or_least(logits[ids[c]]), largest) / total);
}

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace) {
  const MoeRoute& route = std::get<MoeRoute>(op.desc.attributes);
  const TensorView& logits = operands.in[0];
  const std::int64_t tokens = logits.rows();
  each_share(cpu_stream(stream), tokens, tokens * route.experts * route.used,
             [&](std::int64_t begin, std::int64_t end) {
               for (std::int64_t t = begin; t < end; ++t)
                 route_token(route, f32_row(logits, t),
                             reinterpret_cast<std::int32_t*>(operands.out[0].row(t)),
                             f32_row(operands.out[1], t));
             });
}

PreparedOp prepare(Device& device, const OpDesc& op) { return prepared(device, op, run); }

}  // namespace

const OpImpl moe_route_impl{supports, prepare};

}  // namespace strata::cpu
