#pragma once

#include <vector>

#include "apps/cli/arguments.h"
#include "apps/console.h"
#include "runtime/engine/runner.h"

namespace strata::apps {

/// Per-op times, collected where --profile asks for them. Declared before the Runner that it is
/// attached to, which it outlives.
class Profile {
 public:
  explicit Profile(const cli::Arguments& arguments) : on_(arguments.flag(cli::OptionId::profile)) {}

  void attach(Runner& runner) {
    if (on_) runner.set_trace(&samples_);
  }
  /// Prints the sums per op, largest first; nothing without --profile.
  void report(const Console& console) const;

 private:
  bool on_;
  std::vector<OpSample> samples_;
};

}  // namespace strata::apps
