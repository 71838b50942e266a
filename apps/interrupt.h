#pragma once

#include "runtime/engine/engine.h"

namespace strata::apps {

/// While it lives, the first Ctrl-C (or SIGTERM) cancels the request and the second ends the
/// process. One at a time.
class InterruptScope {
 public:
  explicit InterruptScope(RequestHandle& handle);
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;

  /// The signal that came, 0 if none did.
  int signal() const;
};

}  // namespace strata::apps
