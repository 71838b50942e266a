#pragma once

#include <cstddef>
#include <cstdint>

namespace strata {

/// Largest extents of a step; fixed when the plan is made.
struct StepCapacity {
  std::int32_t tokens = 1;
  std::int32_t sequences = 1;           ///< sequence slots, each with a row of the page table
  std::int32_t pages_per_sequence = 1;  ///< columns of the page table
  std::int32_t page_tokens = 64;        ///< tokens per KV page
};

/// What varies from step to step, as one block of bytes at a fixed device address: this header,
/// then int32 arrays. Written by one small upload, read by the ops that need it, so that a recorded
/// step replays unchanged. Ids and indices are proven in range by who writes it.
struct StepState {
  std::int32_t token_count;
  std::int32_t row_count;  ///< tokens whose logits are wanted
  std::int32_t page_tokens;
  std::int32_t pages_per_sequence;
  std::int32_t tokens_offset;     ///< bytes from the header to int32 token id [tokens]
  std::int32_t positions_offset;  ///< position within its sequence [tokens]
  std::int32_t sequences_offset;  ///< sequence slot [tokens]
  std::int32_t rows_offset;       ///< token index of each wanted row [tokens]
  std::int32_t pages_offset;      ///< page id [sequences][pages_per_sequence]
  std::int32_t padding[7];

  const std::int32_t* tokens() const { return array(tokens_offset); }
  const std::int32_t* positions() const { return array(positions_offset); }
  const std::int32_t* sequences() const { return array(sequences_offset); }
  const std::int32_t* rows() const { return array(rows_offset); }
  /// Page ids of a sequence slot, in order of position.
  const std::int32_t* pages(std::int32_t sequence) const {
    return array(pages_offset) + static_cast<std::int64_t>(sequence) * pages_per_sequence;
  }
  std::int32_t* tokens() { return array(tokens_offset); }
  std::int32_t* positions() { return array(positions_offset); }
  std::int32_t* sequences() { return array(sequences_offset); }
  std::int32_t* rows() { return array(rows_offset); }
  std::int32_t* pages(std::int32_t sequence) {
    return array(pages_offset) + static_cast<std::int64_t>(sequence) * pages_per_sequence;
  }

 private:
  const std::int32_t* array(std::int32_t offset) const {
    return reinterpret_cast<const std::int32_t*>(reinterpret_cast<const std::byte*>(this) + offset);
  }
  std::int32_t* array(std::int32_t offset) {
    return reinterpret_cast<std::int32_t*>(reinterpret_cast<std::byte*>(this) + offset);
  }
};
static_assert(sizeof(StepState) == 64);

/// Bytes of a step block of this capacity.
std::size_t step_state_bytes(const StepCapacity& capacity);

/// Lays out an empty step (no tokens) in `block`, which is 64-byte aligned and holds
/// step_state_bytes(capacity).
StepState& format_step_state(std::byte* block, const StepCapacity& capacity);

}  // namespace strata
