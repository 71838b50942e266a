#include "backends/vulkan/ops/activation.h"

namespace strata::vulkan {
namespace {

struct Push {
  Address x;
  Address step;
  Address out;
  std::uint32_t rows;
  std::uint32_t columns;
  std::uint32_t x_stride;
  std::uint32_t out_stride;
  std::uint32_t row_groups;
};

bool supports(const OpDesc& op, const DeviceInfo&) {
  return is_f32_rows(op.in[0]) && is_f32_rows(op.out[0]);
}

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace) {
  const TensorView& x = operands.in[0];
  const TensorView& out = operands.out[0];
  const std::uint32_t row_groups = groups(out.columns(), kElementThreads);
  const Push push{address(x),
                  address(operands.in[1]),
                  address(out),
                  size32(out.rows()),
                  size32(out.columns()),
                  stride_bytes(x),
                  stride_bytes(out),
                  row_groups};
  dispatch_groups(stream, op, push, out.rows() * row_groups);
}

PreparedOp prepare(Device& device, const OpDesc& op) {
  const std::uint32_t constants[] = {kElementThreads};
  return prepared(op, run, "gather_rows", one_pipeline(device, "gather_rows", constants));
}

}  // namespace

const OpImpl gather_rows_impl{supports, prepare};

}  // namespace strata::vulkan
