#include "backends/vulkan/ops/activation.h"

namespace strata::vulkan {
namespace {

struct Push {
  Address x;
  Address w;
  Address out;
  std::uint32_t rows;
  std::uint32_t row_groups;
  std::uint32_t n;
  std::uint32_t x_stride;
  std::uint32_t out_stride;
  float eps;
};

// Quantized: a block of 32 columns has one work group.
bool supports(const OpDesc& op, const DeviceInfo&) {
  const std::int64_t n = op.in[1].shape.elements();
  return is_f32_rows(op.in[0]) && is_f32_rows(op.in[1]) && is_activation(op.out[0]) && n > 0 &&
         op.in[0].shape.columns() % n == 0 &&
         (op.out[0].layout == Layout::rows || n == op.in[0].shape.columns() ||
          n % kScaleBlock == 0);
}

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace) {
  const TensorView& x = operands.in[0];
  const TensorView& w = operands.in[1];
  const TensorView& out = operands.out[0];
  const std::int64_t n = w.shape.elements();
  const std::int64_t row_groups = x.columns() / n;
  const Push push{address(x),       address(w),         address(out),
                  size32(x.rows()), size32(row_groups), size32(n),
                  stride_bytes(x),  stride_bytes(out),  std::get<RmsNorm>(op.desc.attributes).eps};
  dispatch_groups(stream, op, push, x.rows() * row_groups);
}

PreparedOp prepare(Device& device, const OpDesc& op) {
  const std::uint32_t constants[] = {
      row_threads(vulkan_device(device).limits(), op.in[1].shape.elements()),
      layout_constant(op.out[0].layout)};
  return prepared(op, run, "rms_norm", one_pipeline(device, "rms_norm", constants));
}

}  // namespace

const OpImpl rms_norm_impl{supports, prepare};

}  // namespace strata::vulkan
