#pragma once

#include <mutex>

#include "apps/console.h"
#include "runtime/engine/runner.h"

namespace strata::apps {

/// A live line of how far a step has come, for models that stream: the first token may take long.
/// Shown on a terminal only, from the first layer of a step on that lasts longer than a blink, and
/// gone when text comes. It also keeps the last counters. Steps are told of by the engine's thread,
/// the rest is for another; both may be at once.
class StepProgressLine {
 public:
  /// `console` outlives it.
  explicit StepProgressLine(Console& console) : console_(console) {}

  /// For RunnerOptions::on_progress.
  void update(const StepProgress& progress);
  /// Takes the line away: text is about to be written, or the answer is over.
  void clear();
  /// The counters when the last step's logits were handed out.
  StreamStats stats() const;
  /// The same of the first step whose logits were wanted, the prompt's last.
  StreamStats prompt_stats() const;

 private:
  Console& console_;
  mutable std::mutex mutex_;
  StreamStats stats_;
  StreamStats prompt_stats_;
  bool prompt_done_ = false;
  std::int64_t step_began_ns_ = 0;
};

}  // namespace strata::apps
