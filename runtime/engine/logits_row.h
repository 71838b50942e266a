#pragma once

#include <optional>
#include <span>

#include "runtime/text/sampler.h"

namespace strata {

class Stage;

/// What a step says of one wanted token's logits. Valid while it is handed out.
class LogitsRow {
 public:
  /// `row` of the last pass of `stage`, which has been waited for; `top` if it looked for that.
  LogitsRow(Stage& stage, std::int32_t row, std::optional<text::TopLogits> top, bool on_host,
            bool replaced)
      : stage_(stage), row_(row), top_(top), on_host_(on_host), replaced_(replaced) {}

  /// The largest of them, if the device has looked for these; else null.
  const text::TopLogits* top() const { return top_ ? &*top_ : nullptr; }
  /// All (vocab). If only the largest came to the host, the others are brought now: throws what
  /// Runner::finish() may. Not when the next step has been started.
  std::span<const float> all() const;

 private:
  Stage& stage_;
  std::int32_t row_;
  std::optional<text::TopLogits> top_;
  bool on_host_;
  bool replaced_;
};

}  // namespace strata
