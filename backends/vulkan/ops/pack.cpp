#include "backends/vulkan/ops/common.h"
#include "runtime/core/planes.h"

namespace strata::vulkan {
namespace {

constexpr std::uint32_t kThreads = 256;

struct Push {
  Address w;
  Address out;
  std::uint32_t matrices;
  std::uint32_t n;
  std::uint32_t stride;
  std::uint32_t blocks;
  std::uint32_t block_bytes;
  std::uint32_t panel_groups;
  std::array<std::uint32_t, kMaxPlanes> fields;
};

std::array<std::uint32_t, kMaxPlanes> fields_of(DType dtype) {
  std::array<std::uint32_t, kMaxPlanes> packed{};
  const PlaneFields fields = plane_fields(dtype);
  for (std::size_t i = 0; i < packed.size(); ++i)
    packed[i] = size32(fields[i].offset) | size32(fields[i].bytes) << 16;
  return packed;
}

bool supports(const OpDesc& op, const DeviceInfo&) {
  return is_quantized(op.in[0].dtype) && op.in[0].layout == Layout::rows &&
         op.out[0].layout == Layout::planes16 && op.out[0].dtype == op.in[0].dtype;
}

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace) {
  const TensorView& w = operands.in[0];
  const DTypeInfo& info = dtype_info(w.dtype);
  const std::int64_t matrices = w.shape.rank > 2 ? w.shape[0] : 1;
  if (matrices == 0 || w.rows() == 0) return;
  const std::int64_t n = w.rows() / matrices;
  const std::int64_t panels = (n + kPanelRows - 1) / kPanelRows;
  const auto panel_words =
      static_cast<std::int64_t>(row_bytes(w.dtype, w.columns())) * kPanelRows / 4;
  const std::uint32_t panel_groups = groups(panel_words, kThreads);
  const Push push{address(w),
                  address(operands.out[0]),
                  size32(matrices),
                  size32(n),
                  stride_bytes(w),
                  size32(w.columns() / info.block_elements),
                  static_cast<std::uint32_t>(info.block_bytes),
                  panel_groups,
                  fields_of(w.dtype)};
  const Grid grid = fold_groups(matrices * panels * panel_groups);
  dispatch(stream, state_of<Pipelines<1>>(op).at[0], push, grid.x, grid.y);
}

PreparedOp prepare(Device& device, const OpDesc& op) {
  const std::uint32_t constants[] = {kThreads};
  auto state = std::make_shared<Pipelines<1>>();
  state->at[0] = vulkan_device(device).pipeline("pack", constants);
  return prepared(op, run, "planes of 16 rows", std::move(state));
}

}  // namespace

const OpImpl pack_impl{supports, prepare};

}  // namespace strata::vulkan
