// The step that is started before the last one's tokens are known.
#include <algorithm>

#include "runtime/engine/engine.h"

namespace strata {

// Whether every request that runs has a token in the step in flight and goes on behind it.
bool Engine::may_run_ahead() const {
  if (speculates() || !runner_->may_follow()) return false;
  std::size_t running = 0;
  for (const auto& generation : active_) {
    if (generation->finished()) continue;
    if (generation->channel().cancelled() || !generation->may_run_ahead(context())) return false;
    ++running;
  }
  const auto wanted = static_cast<std::size_t>(std::count_if(
      step_.owner.begin(), step_.owner.end(),
      [](const Generation* owner) { return owner != nullptr && !owner->finished(); }));
  return running == wanted && static_cast<std::int64_t>(running) <= runner_->max_tokens();
}

// The tokens come from the rows of the step in flight, in their order.
void Engine::start_ahead() {
  if (!may_run_ahead()) return;
  ahead_.batch.clear();
  ahead_.owner.clear();
  std::int32_t row = 0;
  for (Generation* owner : step_.owner) {
    if (owner == nullptr) continue;
    const std::int32_t chosen = chosen_token(row++);
    if (owner->finished()) continue;
    if (!runner_->pool().extend(owner->slot, 1)) return forget_drafts();
    ahead_.batch.push_back(
        {chosen, owner->slot, static_cast<std::int32_t>(owner->run()), true, true});
    ahead_.owner.push_back(owner);
  }
  if (ahead_.batch.empty()) return;
  runner_->start(ahead_.batch);
  ahead_runs_ = true;
}

bool Engine::ahead_holds() const {
  return std::none_of(ahead_.owner.begin(), ahead_.owner.end(),
                      [](const Generation* owner) { return owner->finished(); });
}

// Makes the step ahead the one that is finished next, if it is still what is to be run.
bool Engine::take_ahead() {
  if (!ahead_runs_) return false;
  if (!ahead_holds()) {
    drop_ahead();
    return false;
  }
  ahead_runs_ = false;
  std::swap(step_, ahead_);
  drafted_ = 0;
  decoding_ = static_cast<std::int64_t>(step_.owner.size());
  for (Generation* owner : step_.owner) {
    owner->advance(1);
    owner->propose(0, context());  // none
  }
  return true;
}

// After an error, or at the end: none is in flight.
void Engine::abandon_steps() {
  ahead_runs_ = false;
  try {
    for (int step = 0; runner_ && step < 2; ++step) runner_->drop();
  } catch (const std::exception&) {
    // Then none is either, and whoever starts the next one is told.
  }
}

// What it writes to the cache lies behind the end of every sequence, and is written again.
void Engine::drop_ahead() {
  ahead_runs_ = false;
  runner_->drop();
  forget_drafts();
}

}  // namespace strata
