#pragma once

#include <algorithm>
#include <cstdint>

#include "backends/vulkan/ops/common.h"

namespace strata::vulkan {

/// Whether an op that makes f32 rows can write them as `out` says: f32, or what `quantize` makes.
/// Rows of bf16 are whole 32-bit words.
inline bool is_activation(const TensorDesc& out) {
  if (out.layout == Layout::quantized)
    return out.dtype == DType::I8 && out.shape.columns() % kScaleBlock == 0;
  return out.layout == Layout::rounded ? out.dtype == DType::BF16 && out.shape.columns() % 2 == 0
                                       : is_f32_rows(out);
}

/// LAYOUT of shaders/include/activation.glsl.
inline std::uint32_t layout_constant(Layout layout) {
  return layout == Layout::quantized ? 1 : layout == Layout::rounded ? 2 : 0;
}

/// Invocations of a work group that has `columns` of a row, up to eight of them each: a power of
/// two from 64 on. Ops that must give the same bits must add in the same order, so they all ask
/// here.
inline std::uint32_t row_threads(const VulkanLimits& limits, std::int64_t columns) {
  std::uint32_t threads = 64;
  while (threads * 8 < columns && threads * 2 <= std::min(limits.max_invocations, 1024U))
    threads *= 2;
  return threads;
}

/// Columns that one invocation of an elementwise shader does.
inline constexpr std::int64_t kColumnsEach = 4;
inline constexpr std::uint32_t kElementThreads = 128;

/// A state with one pipeline.
inline std::shared_ptr<const void> one_pipeline(Device& device, std::string_view shader,
                                                std::span<const std::uint32_t> constants) {
  auto state = std::make_shared<Pipelines<1>>();
  state->at[0] = vulkan_device(device).pipeline(shader, constants);
  return state;
}

/// Records `count` work groups of the op's one pipeline.
template <class Push>
void dispatch_groups(Stream& stream, const PreparedOp& op, const Push& push, std::int64_t count) {
  const Grid grid = fold_groups(count);
  dispatch(stream, state_of<Pipelines<1>>(op).at[0], push, grid.x, grid.y);
}

}  // namespace strata::vulkan
