#include "backends/vulkan/ops/activation.h"

namespace strata::vulkan {
namespace {

struct Push {
  Address ids;
  Address offsets;
  Address order;
  std::uint32_t rows;
  std::uint32_t used;
  std::uint32_t experts;
  std::uint32_t ids_stride;
  std::uint32_t order_stride;
};

bool supports(const OpDesc& op, const DeviceInfo&) {
  return is_i32_rows(op.in[0]) && is_i32_rows(op.out[0]) && is_i32_rows(op.out[1]);
}

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace) {
  const std::int32_t experts = std::get<MoeSort>(op.desc.attributes).experts;
  const TensorView& ids = operands.in[0];
  const TensorView& order = operands.out[1];
  const Push push{address(ids),       address(operands.out[0]), address(order),
                  size32(ids.rows()), size32(ids.columns()),    size32(experts),
                  stride_bytes(ids),  stride_bytes(order)};
  dispatch_groups(stream, op, push, experts);
}

PreparedOp prepare(Device& device, const OpDesc& op) {
  const std::uint32_t constants[] = {
      row_threads(vulkan_device(device).limits(), op.in[0].shape.elements())};
  return prepared(op, run, "moe_sort", one_pipeline(device, "moe_sort", constants));
}

}  // namespace

const OpImpl moe_sort_impl{supports, prepare};

}  // namespace strata::vulkan
