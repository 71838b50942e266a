#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "backends/vulkan/ops/impls.h"
#include "backends/vulkan/vulkan_device.h"
#include "backends/vulkan/vulkan_stream.h"

namespace strata::vulkan {

inline VulkanStream& vulkan_stream(Stream& stream) { return static_cast<VulkanStream&>(stream); }
inline VulkanDevice& vulkan_device(Device& device) { return static_cast<VulkanDevice&>(device); }

inline bool is_f32_rows(const TensorDesc& desc) {
  return desc.dtype == DType::F32 && desc.layout == Layout::rows;
}

inline bool is_i32_rows(const TensorDesc& desc) {
  return desc.dtype == DType::I32 && desc.layout == Layout::rows;
}

/// A buffer device address as a shader's push constants hold it: a `buffer_reference`, 8 bytes.
struct Address {
  std::uint64_t value = 0;
};
static_assert(sizeof(Address) == 8);

/// Where a view begins; 0 for an absent operand.
inline Address address(const TensorView& view) {
  return {reinterpret_cast<std::uint64_t>(view.data)};
}
inline Address address(Workspace workspace, std::size_t offset = 0) {
  return {reinterpret_cast<std::uint64_t>(workspace.data()) + offset};
}

/// A size or count as shaders hold it.
inline std::uint32_t size32(std::int64_t size) { return static_cast<std::uint32_t>(size); }
/// Bytes from row to row, for address_at() of shaders/include/address.glsl.
inline std::uint32_t stride_bytes(const TensorView& view) { return size32(view.row_stride); }

/// A PreparedOp whose inputs stay as they are. `kernel` names the variant and lives for ever.
inline PreparedOp prepared(const OpDesc& desc, OpRun run, std::string_view kernel,
                           std::shared_ptr<const void> state, std::size_t workspace_bytes = 0) {
  PreparedOp op;
  op.desc = desc;
  op.run = run;
  op.kernel = kernel;
  op.workspace_bytes = workspace_bytes;
  op.state = std::move(state);
  return op;
}

/// A state of just pipelines, for ops that need nothing more.
template <std::size_t n>
struct Pipelines {
  std::array<VkPipeline, n> at{};
};

/// The state that `prepare` kept.
template <class State>
const State& state_of(const PreparedOp& op) {
  return *static_cast<const State*>(op.state.get());
}

/// Records one dispatch; `push` is the shader's push constants. Nothing when a count is 0.
template <class Push>
void dispatch(Stream& stream, VkPipeline pipeline, const Push& push, std::uint32_t x,
              std::uint32_t y = 1, std::uint32_t z = 1) {
  static_assert(sizeof(Push) <= 128, "more push constants than every device has");
  static_assert(std::is_trivially_copyable_v<Push>);
  vulkan_stream(stream).dispatch(pipeline, &push, sizeof(Push), x, y, z);
}

/// Work groups for `items` of which each does `per_group`.
inline std::uint32_t groups(std::int64_t items, std::int64_t per_group) {
  return static_cast<std::uint32_t>((items + per_group - 1) / per_group);
}

/// A grid of at least `count` groups, with x and y within what every device takes: the shader's
/// group index is gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x, and what is beyond
/// `count` must do nothing (shaders/include/grid.glsl).
struct Grid {
  std::uint32_t x;
  std::uint32_t y;
};
inline Grid fold_groups(std::int64_t count) {
  constexpr std::int64_t kMost = 65535;
  const std::int64_t y = (count + kMost - 1) / kMost;
  return {groups(count, y == 0 ? 1 : y), static_cast<std::uint32_t>(y)};
}

}  // namespace strata::vulkan
