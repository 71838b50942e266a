#include "backends/cpu/ops/common.h"

namespace strata::cpu {
namespace {

bool supports(const OpDesc& op, const DeviceInfo&) {
  return is_i32_rows(op.in[0]) && is_i32_rows(op.out[0]) && is_i32_rows(op.out[1]);
}

// A counting sort, stable, on the calling thread: there are few routes. While the routes are dealt
// out, offsets[e] is where the next one of expert e goes; in the end it is where e + 1 begins.
void run(Stream&, const PreparedOp& op, const Operands& operands, Workspace) {
  const std::int32_t experts = std::get<MoeSort>(op.desc.attributes).experts;
  const TensorView& ids = operands.in[0];
  auto* offsets = operands.out[0].as<std::int32_t>();
  const TensorView& order = operands.out[1];
  auto expert = [&](std::int64_t route) {
    return reinterpret_cast<const std::int32_t*>(
        ids.row(route / ids.columns()))[route % ids.columns()];
  };
  const std::int64_t routes = ids.shape.elements();
  for (std::int32_t e = 0; e <= experts; ++e) offsets[e] = 0;
  for (std::int64_t r = 0; r < routes; ++r) ++offsets[expert(r) + 1];
  for (std::int32_t e = 0; e < experts; ++e) offsets[e + 1] += offsets[e];
  for (std::int64_t r = 0; r < routes; ++r) {
    std::int32_t& next = offsets[expert(r)];
    *reinterpret_cast<std::int32_t*>(order.row(next)) = static_cast<std::int32_t>(r);
    ++next;
  }
  for (std::int32_t e = experts; e > 0; --e) offsets[e] = offsets[e - 1];
  offsets[0] = 0;
}

PreparedOp prepare(Device& device, const OpDesc& op) { return prepared(device, op, run); }

}  // namespace

const OpImpl moe_sort_impl{supports, prepare};

}  // namespace strata::cpu
