#include "runtime/engine/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace strata {

Engine::Engine(std::unique_ptr<Runner> runner, std::shared_ptr<const text::Tokenizer> tokenizer,
               Speculation speculation, RunnerReplacement replacement)
    : tokenizer_(std::move(tokenizer)),
      replacement_(std::move(replacement)),
      speculation_(speculation) {
  vocabulary_ = runner->model().config().vocab;
  use(std::move(runner));
  worker_ = std::thread([this] { work(); });
}

void Engine::use(std::unique_ptr<Runner> runner) {
  runner_ = std::move(runner);
  context_.store(runner_->options().context);
  const auto most = static_cast<std::size_t>(runner_->max_tokens());
  for (Step* step : {&step_, &ahead_}) {
    step->batch.reserve(most);
    step->owner.reserve(most);
  }
  ahead_runs_ = false;
  active_.reserve(static_cast<std::size_t>(runner_->options().max_sequences));
}

// The lost device's memory is given back before other memory is asked for.
void Engine::replace(const Error& lost) {
  runner_.reset();
  lost_ = lost;
  try {
    if (std::unique_ptr<Runner> other = replacement_ ? replacement_(lost) : nullptr) {
      use(std::move(other));
      lost_.reset();
    }
  } catch (const std::exception& error) {
    lost_ =
        Error(lost.code(), lost.subject(),
              fmt::format("{}, and nothing can take its place: {}", lost.detail(), error.what()),
              lost.hint());
  }
}

Engine::~Engine() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  worker_.join();
}

void Engine::check(const Request& request) const {
  const std::int64_t vocab = vocabulary_;
  const auto tokens = static_cast<std::int64_t>(request.prompt.size());
  if (tokens == 0)
    throw Error(ErrorCode::bad_request, "prompt", "is empty and the model adds no first token",
                "give a prompt with -p or ids with --ids");
  for (text::TokenId id : request.prompt)
    if (id < 0 || id >= vocab)
      throw Error(ErrorCode::bad_request, "prompt",
                  fmt::format("token id {} is not in the vocabulary (0 to {})", id, vocab - 1));
  if (tokens > context())
    throw Error(ErrorCode::bad_request, "prompt",
                fmt::format("has {} tokens, but the context holds {}", tokens, context()),
                "raise -c or shorten the prompt");
  if (request.top_log_probabilities > vocab)
    throw Error(ErrorCode::bad_request, "logprobs",
                fmt::format("is {}, but the vocabulary has {} tokens",
                            request.top_log_probabilities, vocab));
}

RequestHandle Engine::submit(Request request) {
  check(request);
  auto channel = std::make_shared<GenerationChannel>();
  const auto vocabulary = static_cast<std::size_t>(vocabulary_);
  // The key is 0: the same seed gives the same tokens whatever ran before.
  auto generation = std::make_unique<Generation>(std::move(request), tokenizer_, vocabulary,
                                                 /*key=*/0, channel);
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(generation));
  }
  wake_.notify_one();
  return RequestHandle(std::move(channel));
}

void Engine::work() {
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty() || !active_.empty(); });
      if (stopping_) break;
      admit();
    }
    std::optional<Error> lost;
    try {
      run_step();
    } catch (const Error& error) {
      abandon_steps();
      fail_all(error);
      if (error.code() == ErrorCode::device_missing) lost = error;
    } catch (const std::exception& error) {
      abandon_steps();
      fail_all(Error(ErrorCode::runtime, "engine", error.what()));
    }
    retire();
    if (lost) replace(*lost);
  }
  abandon_steps();
  for (auto& generation : active_) generation->finish(FinishReason::cancelled);
  for (auto& generation : queue_) generation->finish(FinishReason::cancelled);
}

// Under the lock: ends cancelled requests wherever they stand in the queue, and takes the others
// into free sequence slots.
void Engine::admit() {
  std::erase_if(queue_, [](const std::unique_ptr<Generation>& queued) {
    if (!queued->channel().cancelled()) return false;
    queued->finish(FinishReason::cancelled);
    return true;
  });
  for (; lost_ && !queue_.empty(); queue_.pop_front())
    queue_.front()->finish(FinishReason::error, *lost_);
  while (!queue_.empty()) {
    std::unique_ptr<Generation>& first = queue_.front();
    const std::int32_t slot = runner_->pool().open();
    if (slot < 0) return;
    first->slot = slot;
    if (first->request().max_tokens == 0) first->finish(FinishReason::length);
    active_.push_back(std::move(first));
    queue_.pop_front();
  }
}

// Puts up to `room` pending tokens of a request into the batch; returns how many.
std::int64_t Engine::add_tokens(Generation& generation, std::int64_t room) {
  if (generation.run() == 0) generation.mark_started(context());
  const std::int64_t count = std::min(room, generation.pending());
  if (!runner_->pool().extend(generation.slot, count)) {
    generation.finish(FinishReason::length);
    return 0;
  }
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t position = generation.run() + i;
    const bool last = i + 1 == generation.pending();
    step_.batch.push_back({generation.token_at(position), generation.slot,
                           static_cast<std::int32_t>(position), last,
                           last && takes_top(generation)});
    step_.owner.push_back(last ? &generation : nullptr);
  }
  generation.advance(count);
  if (generation.pending() > 0) return count;
  return count + add_draft(generation, room - count);
}

bool Engine::takes_top(const Generation& generation) const {
  return generation.takes_top(static_cast<std::size_t>(runner_->candidates()));
}

bool Engine::speculates() const {
  if (speculation_ == Speculation::streaming) return runner_->streams() && governor_.wants_draft();
  return speculation_ == Speculation::always;
}

// Puts tokens that may follow the last one of a decoding request into the batch; returns how many.
std::int64_t Engine::add_draft(Generation& generation, std::int64_t room) {
  const bool may = speculates();
  const std::span<const text::TokenId> draft = generation.propose(may ? room : 0, context());
  const auto count = static_cast<std::int64_t>(draft.size());
  if (count == 0) return 0;
  if (!runner_->pool().extend(generation.slot, count)) {
    generation.drop_draft();
    return 0;
  }
  for (std::int64_t i = 0; i < count; ++i) {
    step_.batch.push_back({draft[static_cast<std::size_t>(i)], generation.slot,
                           static_cast<std::int32_t>(generation.run() + i), true,
                           takes_top(generation)});
    step_.owner.push_back(&generation);
  }
  drafted_ += count;
  return count;
}

void Engine::on_logits(std::size_t index, const LogitsRow& row) {
  Generation& generation = *step_.owner[index];
  if (generation.finished()) return;  // cancelled after its token had joined the batch
  try {
    const std::int64_t before = generation.generated();
    generation.take(row, context());
    chosen_ += generation.generated() - before;
  } catch (const Error& error) {
    generation.finish(FinishReason::error, error);
  } catch (const std::exception& error) {
    generation.finish(FinishReason::error, Error(ErrorCode::runtime, "request", error.what()));
  }
}

void Engine::make_step() {
  step_.batch.clear();
  step_.owner.clear();
  drafted_ = 0;
  decoding_ = 0;
  std::int64_t room = runner_->max_tokens();
  // Decoding requests first: one token each, so that nobody waits for another's long prompt.
  for (const bool decoding : {true, false}) {
    for (auto& generation : active_) {
      if (generation->finished() || (generation->pending() == 1) != decoding || room == 0) continue;
      if (generation->pending() == 0) continue;
      if (decoding) ++decoding_;
      room -= add_tokens(*generation, room);
    }
  }
  // Whoever found no room comes earlier next time.
  if (active_.size() > 1) std::rotate(active_.begin(), active_.begin() + 1, active_.end());
}

void Engine::run_step() {
  if (!runner_) return;
  for (auto& generation : active_)
    if (generation->channel().cancelled()) generation->finish(FinishReason::cancelled);
  began_ = std::chrono::steady_clock::now();
  if (!take_ahead()) {
    make_step();
    if (step_.batch.empty()) return;
    runner_->start(step_.batch);
  }
  start_ahead();
  finish_and_measure();
  if (!ahead_runs_)
    forget_drafts();
  else if (!ahead_holds())
    drop_ahead();
}

// What was drafted, or run ahead, and not chosen.
void Engine::forget_drafts() {
  for (auto& generation : active_)
    if (generation->run() < runner_->pool().length(generation->slot))
      runner_->pool().truncate(generation->slot, generation->run());
}

void Engine::finish_and_measure() {
  chosen_ = 0;
  runner_->finish([this](std::size_t index, const LogitsRow& row) { on_logits(index, row); });
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began_;
  // A step with part of a prompt says nothing about drafts.
  if (static_cast<std::int64_t>(step_.batch.size()) == drafted_ + decoding_)
    governor_.record(drafted_, chosen_, took.count());
}

void Engine::retire() {
  std::erase_if(active_, [this](const std::unique_ptr<Generation>& generation) {
    if (!generation->finished()) return false;
    runner_->pool().close(generation->slot);
    return true;
  });
}

void Engine::fail_all(const Error& error) {
  for (auto& generation : active_) generation->finish(FinishReason::error, error);
}

}  // namespace strata
