#include "backends/vulkan/ops/activation.h"

namespace strata::vulkan {
namespace {

// Shared memory has 16 bytes per expert.
constexpr std::int32_t kMostExperts = 1024;

struct Push {
  Address logits;
  Address ids;
  Address weights;
  std::uint32_t rows;
  std::uint32_t logits_stride;
  std::uint32_t ids_stride;
  std::uint32_t weights_stride;
};

bool supports(const OpDesc& op, const DeviceInfo&) {
  const MoeRoute& route = std::get<MoeRoute>(op.attributes);
  return is_f32_rows(op.in[0]) && is_i32_rows(op.out[0]) && is_f32_rows(op.out[1]) &&
         route.used >= 1 && route.used <= route.experts && route.experts <= kMostExperts;
}

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace) {
  const TensorView& logits = operands.in[0];
  const TensorView& ids = operands.out[0];
  const TensorView& weights = operands.out[1];
  const Push push{address(logits),       address(ids),         address(weights),
                  size32(logits.rows()), stride_bytes(logits), stride_bytes(ids),
                  stride_bytes(weights)};
  dispatch_groups(stream, op, push, logits.rows());
}

PreparedOp prepare(Device& device, const OpDesc& op) {
  const MoeRoute& route = std::get<MoeRoute>(op.attributes);
  const std::uint32_t constants[] = {route.experts > 64 ? 128U : 64U, size32(route.experts),
                                     size32(route.used), route.renormalise ? 1U : 0U};
  return prepared(op, run, "moe_route", one_pipeline(device, "moe_route", constants));
}

}  // namespace

const OpImpl moe_route_impl{supports, prepare};

}  // namespace strata::vulkan
