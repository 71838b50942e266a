#include "runtime/engine/logits_row.h"

#include <stdexcept>

#include "runtime/engine/stage.h"

namespace strata {

std::span<const float> LogitsRow::all() const {
  if (on_host_) return stage_.logits(row_);
  if (replaced_) throw std::logic_error("the next step has overwritten these logits");
  stage_.fetch_logits(row_, 1);
  stage_.stream().synchronize();
  return stage_.logits(row_);
}

}  // namespace strata
