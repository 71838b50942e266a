#include "apps/step_progress.h"

#include <fmt/format.h>

#include "runtime/engine/memory_text.h"

namespace strata::apps {

void StepProgressLine::update(const StepProgress& progress) {
  constexpr std::int64_t kBlink = 300'000'000;  // ns
  const std::lock_guard lock(mutex_);
  const std::int64_t now = steady_ns();
  stats_ = progress.stream;
  if (progress.layers_done == 0) step_began_ns_ = now;
  const bool done = progress.layers_done == progress.layers;
  if (done && !prompt_done_) prompt_stats_ = stats_;
  prompt_done_ = prompt_done_ || done;
  if (done) return console_.live_line({});
  if (now - step_began_ns_ < kBlink) return;
  console_.live_line(fmt::format(
      "{} layer {}/{}, {} token{}, {} read, {:.1f} s", progress.tokens > 1 ? "Prompt" : "Token",
      progress.layers_done + 1, progress.layers, progress.tokens, progress.tokens == 1 ? "" : "s",
      bytes_text(progress.stream.bytes_read), static_cast<double>(now - step_began_ns_) * 1e-9));
}

void StepProgressLine::clear() {
  const std::lock_guard lock(mutex_);
  console_.live_line({});
}

StreamStats StepProgressLine::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

StreamStats StepProgressLine::prompt_stats() const {
  const std::lock_guard lock(mutex_);
  return prompt_stats_;
}

}  // namespace strata::apps
