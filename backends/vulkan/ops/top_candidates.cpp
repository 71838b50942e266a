#include <utility>

#include "backends/vulkan/ops/common.h"

namespace strata::vulkan {
namespace {

struct Push {
  Address source;
  Address to;
  Address summaries;
  std::uint32_t rows;
  std::uint32_t items;
  std::uint32_t chunks;
  std::uint32_t source_stride;
  std::uint32_t to_stride;
};

// As the shader has them.
constexpr std::uint32_t kEach = 16;
constexpr std::int64_t kSummaryBytes = 16;
constexpr std::int64_t kEntryBytes = 8;
enum Round : std::uint32_t { kOfLogits, kMerge, kFinish };

// Every round leaves an eighth of a chunk at most, of 128 invocations or more.
constexpr std::int32_t kMostCandidates = 128 * kEach / 8;

struct State {
  std::array<VkPipeline, 3> pipelines{};  // by round
  std::int64_t chunk_items = 0;
  std::int64_t count = 0;
};

bool supports(const OpDesc& op, const DeviceInfo&) {
  const std::int32_t count = std::get<TopCandidates>(op.attributes).count;
  return is_f32_rows(op.in[0]) && is_i32_rows(op.out[0]) && op.in[0].shape.columns() >= 1 &&
         count >= 1 && count <= kMostCandidates;
}

// Of a row: entries after the first round, and after the second if there is one.
std::int64_t list_entries(const State& state, std::int64_t columns) {
  return groups(columns, state.chunk_items) * state.count;
}
std::int64_t merged_entries(const State& state, std::int64_t entries) {
  return entries > state.chunk_items ? list_entries(state, entries) : 0;
}

void dispatch_round(Stream& stream, const State& state, Round round, const Push& push) {
  const Grid grid = fold_groups(push.rows * std::int64_t{groups(push.items, state.chunk_items)});
  dispatch(stream, state.pipelines[round], push, grid.x, grid.y);
}

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace workspace) {
  const auto& state = state_of<State>(op);
  const TensorView& logits = operands.in[0];
  const TensorView& out = operands.out[0];
  const std::int64_t rows = logits.rows();
  if (rows == 0) return;
  const std::int64_t chunks = groups(logits.columns(), state.chunk_items);
  std::int64_t entries = list_entries(state, logits.columns());
  const auto lists_at = static_cast<std::size_t>(rows * chunks * kSummaryBytes);
  Address lists = address(workspace, lists_at);
  Address merged =
      address(workspace, lists_at + static_cast<std::size_t>(rows * entries * kEntryBytes));
  Push push{address(logits),          lists,          address(workspace),   size32(rows),
            size32(logits.columns()), size32(chunks), stride_bytes(logits), stride_bytes(out)};
  dispatch_round(stream, state, kOfLogits, push);
  while (entries > state.chunk_items) {
    push.source = lists;
    push.to = merged;
    push.items = size32(entries);
    push.source_stride = size32(entries * kEntryBytes);
    dispatch_round(stream, state, kMerge, push);
    std::swap(lists, merged);
    entries = list_entries(state, entries);
  }
  push.source = lists;
  push.to = address(out);
  push.items = size32(entries);
  push.source_stride = size32(entries * kEntryBytes);
  dispatch_round(stream, state, kFinish, push);
}

PreparedOp prepare(Device& device, const OpDesc& op) {
  VulkanDevice& vulkan = vulkan_device(device);
  const std::uint32_t threads = vulkan.limits().max_invocations >= 256 ? 256 : 128;
  auto state = std::make_shared<State>();
  state->chunk_items = std::int64_t{threads} * kEach;
  state->count = std::get<TopCandidates>(op.attributes).count;
  for (const Round round : {kOfLogits, kMerge, kFinish}) {
    const std::uint32_t constants[] = {threads, size32(state->count), round};
    state->pipelines[round] = vulkan.pipeline("top_candidates", constants);
  }
  const TensorDesc& logits = op.in[0];
  const std::int64_t entries = list_entries(*state, logits.shape.columns());
  const std::int64_t row = groups(logits.shape.columns(), state->chunk_items) * kSummaryBytes +
                           (entries + merged_entries(*state, entries)) * kEntryBytes;
  const auto bytes = static_cast<std::size_t>(logits.shape.rows() * row);
  return prepared(op, run, "top_candidates", std::move(state), bytes);
}

}  // namespace

const OpImpl top_candidates_impl{supports, prepare};

}  // namespace strata::vulkan
