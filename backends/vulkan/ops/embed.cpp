#include "backends/vulkan/ops/activation.h"
#include "runtime/core/planes.h"

namespace strata::vulkan {
namespace {

struct Push {
  Address table;
  Address step;
  Address out;
  std::uint32_t tokens;
  std::uint32_t columns;
  std::uint32_t table_stride;
  std::uint32_t out_stride;
  std::uint32_t row_groups;
};

// What shaders/include/weights.glsl decodes.
bool is_decoded(DType dtype) {
  return dtype == DType::F32 || dtype == DType::F16 || dtype == DType::BF16 ||
         plane_fields(dtype)[0].bytes > 0;
}

bool supports(const OpDesc& op, const DeviceInfo&) {
  return is_decoded(op.in[0].dtype) && op.in[0].layout == Layout::rows && is_f32_rows(op.out[0]);
}

// An invocation does at least this many columns (a unit of weights.glsl); those that are left over
// return at once.
constexpr std::int64_t kLeastUnit = 4;

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace) {
  const TensorView& table = operands.in[0];
  const TensorView& out = operands.out[0];
  const std::uint32_t row_groups = groups(out.columns(), kLeastUnit * kElementThreads);
  const Push push{
      address(table),        address(operands.in[1]), address(out),      size32(out.rows()),
      size32(out.columns()), stride_bytes(table),     stride_bytes(out), row_groups};
  dispatch_groups(stream, op, push, out.rows() * row_groups);
}

PreparedOp prepare(Device& device, const OpDesc& op) {
  // Then those of weights.glsl: dtype, no planes, no alignment to rely on.
  const std::uint32_t constants[] = {kElementThreads, dtype_info(op.in[0].dtype).gguf_id, 0, 0};
  return prepared(op, run, "dequantize rows", one_pipeline(device, "embed", constants));
}

}  // namespace

const OpImpl embed_impl{supports, prepare};

}  // namespace strata::vulkan
