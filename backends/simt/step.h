#pragma once

#include "platform.h"
#include "runtime/ops/step_state.h"

namespace strata::STRATA_SIMT {

/// What kernels read of the StepState block (runtime/ops/step_state.h). In a recorded step views
/// carry the capacity: only rows below these counts are real.
class Step {
 public:
  STRATA_DEVICE explicit Step(const std::byte* block)
      : header_(reinterpret_cast<const StepState*>(block)) {}

  STRATA_DEVICE int token_count() const { return header_->token_count; }
  STRATA_DEVICE int row_count() const { return header_->row_count; }
  STRATA_DEVICE int page_tokens() const { return header_->page_tokens; }
  STRATA_DEVICE int pages_per_sequence() const { return header_->pages_per_sequence; }

  /// t < token_count() for the first three, i < row_count() for row().
  STRATA_DEVICE int token(int t) const { return array(header_->tokens_offset)[t]; }
  STRATA_DEVICE int position(int t) const { return array(header_->positions_offset)[t]; }
  STRATA_DEVICE int sequence(int t) const { return array(header_->sequences_offset)[t]; }
  STRATA_DEVICE int row(int i) const { return array(header_->rows_offset)[i]; }
  /// Page ids of a sequence slot, in order of position.
  STRATA_DEVICE const std::int32_t* pages(int sequence) const {
    return array(header_->pages_offset) +
           static_cast<std::int64_t>(sequence) * header_->pages_per_sequence;
  }

 private:
  STRATA_DEVICE const std::int32_t* array(std::int32_t offset) const {
    return reinterpret_cast<const std::int32_t*>(reinterpret_cast<const std::byte*>(header_) +
                                                 offset);
  }
  const StepState* header_;
};

}  // namespace strata::STRATA_SIMT
