#include "runtime/ops/step_state.h"

#include <cstring>
#include <new>

namespace strata {
namespace {

constexpr std::size_t kAlign = 64;

std::size_t array_bytes(std::int64_t count) {
  return (static_cast<std::size_t>(count) * sizeof(std::int32_t) + kAlign - 1) / kAlign * kAlign;
}

}  // namespace

std::size_t step_state_bytes(const StepCapacity& capacity) {
  return sizeof(StepState) + 4 * array_bytes(capacity.tokens) +
         array_bytes(static_cast<std::int64_t>(capacity.sequences) * capacity.pages_per_sequence);
}

StepState& format_step_state(std::byte* block, const StepCapacity& capacity) {
  std::memset(block, 0, step_state_bytes(capacity));
  StepState* step = new (block) StepState{};
  const auto array = static_cast<std::int32_t>(array_bytes(capacity.tokens));
  step->page_tokens = capacity.page_tokens;
  step->pages_per_sequence = capacity.pages_per_sequence;
  step->tokens_offset = sizeof(StepState);
  step->positions_offset = step->tokens_offset + array;
  step->sequences_offset = step->positions_offset + array;
  step->rows_offset = step->sequences_offset + array;
  step->pages_offset = step->rows_offset + array;
  return *step;
}

}  // namespace strata
