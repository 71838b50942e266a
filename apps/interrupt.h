#pragma once

#include "runtime/engine/engine.h"

namespace strata::apps {

/// While it lives, the first Ctrl-C (or SIGTERM) cancels the request, or is only noted where there
/// is none, and the second ends the process. One at a time.
class InterruptScope {
 public:
  InterruptScope();
  explicit InterruptScope(RequestHandle& handle);
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;

  /// The signal that came, 0 if none did.
  int signal() const;
};

/// The exit status of a command that ended after `signal`; 0 for no signal.
inline int exit_status(int signal) { return signal == 0 ? 0 : 128 + signal; }

}  // namespace strata::apps
