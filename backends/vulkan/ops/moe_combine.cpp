#include "backends/vulkan/ops/activation.h"

namespace strata::vulkan {
namespace {

struct Push {
  Address y;
  Address weights;
  Address out;
  std::uint32_t rows;
  std::uint32_t columns;
  std::uint32_t used;
  std::uint32_t y_stride;
  std::uint32_t weights_stride;
  std::uint32_t out_stride;
  std::uint32_t row_groups;
};

bool supports(const OpDesc& op, const DeviceInfo&) {
  return is_f32_rows(op.in[0]) && is_f32_rows(op.in[1]) && is_f32_rows(op.out[0]) &&
         std::get<MoeCombine>(op.attributes).used >= 1;
}

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace) {
  const TensorView& y = operands.in[0];
  const TensorView& weights = operands.in[1];
  const TensorView& out = operands.out[0];
  const std::uint32_t row_groups = groups(out.columns(), kElementThreads);
  const Push push{address(y),
                  address(weights),
                  address(out),
                  size32(out.rows()),
                  size32(out.columns()),
                  size32(std::get<MoeCombine>(op.desc.attributes).used),
                  stride_bytes(y),
                  stride_bytes(weights),
                  stride_bytes(out),
                  row_groups};
  dispatch_groups(stream, op, push, out.rows() * row_groups);
}

PreparedOp prepare(Device& device, const OpDesc& op) {
  const std::uint32_t constants[] = {kElementThreads};
  return prepared(op, run, "moe_combine", one_pipeline(device, "moe_combine", constants));
}

}  // namespace

const OpImpl moe_combine_impl{supports, prepare};

}  // namespace strata::vulkan
