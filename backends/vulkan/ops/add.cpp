#include "backends/vulkan/ops/common.h"

namespace strata::vulkan {
namespace {

constexpr std::uint32_t kThreads = 256;

struct Push {
  Address a;
  Address b;
  Address out;
  std::uint32_t rows;
  std::uint32_t columns;
  std::uint32_t a_stride;
  std::uint32_t b_stride;
  std::uint32_t out_stride;
  std::uint32_t row_groups;
};

bool supports(const OpDesc& op, const DeviceInfo&) {
  return is_f32_rows(op.in[0]) && is_f32_rows(op.in[1]) && is_f32_rows(op.out[0]);
}

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace) {
  const TensorView& a = operands.in[0];
  const TensorView& b = operands.in[1];
  const TensorView& out = operands.out[0];
  const std::uint32_t row_groups = groups(a.columns(), kThreads);
  const Push push{address(a),       address(b),          address(out),
                  size32(a.rows()), size32(a.columns()), stride_bytes(a),
                  stride_bytes(b),  stride_bytes(out),   row_groups};
  const Grid grid = fold_groups(a.rows() * row_groups);
  dispatch(stream, state_of<Pipelines<1>>(op).at[0], push, grid.x, grid.y);
}

PreparedOp prepare(Device& device, const OpDesc& op) {
  const std::uint32_t constants[] = {kThreads};
  auto state = std::make_shared<Pipelines<1>>();
  state->at[0] = vulkan_device(device).pipeline("add", constants);
  return prepared(op, run, "add", std::move(state));
}

}  // namespace

const OpImpl add_impl{supports, prepare};

}  // namespace strata::vulkan
