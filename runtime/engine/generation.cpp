#include "runtime/engine/generation.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "runtime/engine/lookup_draft.h"

namespace strata {
namespace {

constexpr std::size_t kFirstEvents = 16;

// Where weights stream, some tokens more cost nothing until multiplying takes longer than reading.
constexpr std::int64_t kMostDraft = 7;

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

std::string_view finish_reason_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::stop:
      return "stop";
    case FinishReason::length:
      return "length";
    case FinishReason::cancelled:
      return "cancelled";
    case FinishReason::error:
      return "error";
  }
  return "?";
}

GenerationChannel::GenerationChannel() : ring_(kFirstEvents) {}

void GenerationChannel::push(GenerationEvent event) {
  {
    const std::lock_guard lock(mutex_);
    if (events_ == ring_.size()) {
      std::rotate(ring_.begin(), ring_.begin() + static_cast<std::ptrdiff_t>(first_), ring_.end());
      first_ = 0;
      ring_.resize(2 * ring_.size());
    }
    ring_[(first_ + events_) % ring_.size()] = std::move(event);
    ++events_;
  }
  ready_.notify_one();
}

std::optional<GenerationEvent> GenerationChannel::next() {
  std::unique_lock lock(mutex_);
  if (ended_) return std::nullopt;
  ready_.wait(lock, [this] { return events_ > 0; });
  GenerationEvent event = std::move(ring_[first_]);
  first_ = (first_ + 1) % ring_.size();
  --events_;
  ended_ = event.finished.has_value();
  return event;
}

Generation::Generation(Request request, std::shared_ptr<const text::Tokenizer> tokenizer,
                       std::size_t vocabulary, std::uint64_t key,
                       std::shared_ptr<GenerationChannel> channel)
    : request_(std::move(request)),
      tokenizer_(std::move(tokenizer)),
      channel_(std::move(channel)),
      sampler_(request_.sampling, vocabulary, key),
      stop_filter_(request_.stop),
      tokens_(request_.prompt),
      submitted_ns_(now_ns()) {
  if (tokenizer_)
    detokenizer_.emplace(tokenizer_,
                         text::DecodeOptions{request_.show_control, request_.strip_first_space});
  for (text::TokenId id : tokens_) sampler_.accept(id);
  timings_.prompt_tokens = static_cast<std::int64_t>(tokens_.size());
}

void Generation::mark_started(std::int64_t context) {
  const auto prompt = static_cast<std::int64_t>(tokens_.size());
  const std::int64_t room = context + 1 - prompt;
  const std::int64_t wanted = request_.max_tokens < 0 ? room : std::min(room, request_.max_tokens);
  tokens_.reserve(static_cast<std::size_t>(prompt + std::max<std::int64_t>(wanted, 0)));
  draft_.reserve(kMostDraft);
  started_ns_ = now_ns();
  timings_.queued_ns = started_ns_ - submitted_ns_;
}

// Or would be with so many tokens more.
bool Generation::full(std::int64_t context, std::int64_t more) const {
  const bool limit =
      request_.max_tokens >= 0 && timings_.generated_tokens + more >= request_.max_tokens;
  return limit || static_cast<std::int64_t>(tokens_.size()) + more > context;
}

bool Generation::takes_top(std::size_t count) const {
  return request_.top_log_probabilities < 0 && sampler_.takes_top(count);
}

bool Generation::may_run_ahead(std::int64_t context) const {
  return !finished_ && pending() == 0 && draft_.empty() && sampler_.is_greedy() && takes_top(1) &&
         !full(context, 1);
}

void Generation::emit(text::TokenId id, const LogitsRow& row) {
  GenerationEvent event;
  event.token = id;
  if (request_.top_log_probabilities >= 0) {
    event.top.resize(static_cast<std::size_t>(request_.top_log_probabilities));
    event.log_probability = text::log_probabilities(row.all(), id, event.top);
  }
  if (detokenizer_) {
    // Beyond the tokenizer's vocabulary lie padding rows of the output matrix: no text.
    if (tokenizer_->vocabulary().contains(id)) event.text = detokenizer_->push(id);
    event.text = stop_filter_.push(event.text);
  }
  channel_->push(std::move(event));
}

std::span<const text::TokenId> Generation::propose(std::int64_t room, std::int64_t context) {
  draft_.clear();
  checked_ = 0;
  draft_open_ = true;
  if (timings_.generated_tokens == 0) return draft_;
  // A token is chosen after the last one of the draft as well, and must be wanted.
  std::int64_t most = std::min({room, context - run_, kMostDraft});
  if (request_.max_tokens >= 0)
    most = std::min(most, request_.max_tokens - timings_.generated_tokens - 1);
  const auto found =
      lookup_draft(tokens_, static_cast<std::size_t>(std::max<std::int64_t>(most, 0)));
  draft_.assign(found.begin(), found.end());
  timings_.drafted_tokens += static_cast<std::int64_t>(draft_.size());
  return draft_;
}

void Generation::drop_draft() {
  timings_.drafted_tokens -= static_cast<std::int64_t>(draft_.size());
  draft_.clear();
}

void Generation::take(const LogitsRow& row, std::int64_t context) {
  if (finished_ || !draft_open_) return;
  choose(row, context);
  draft_open_ = !finished_ && checked_ < draft_.size() && tokens_.back() == draft_[checked_];
  if (!draft_open_) return;
  ++checked_;
  ++run_;  // it has been run with those before it
  ++timings_.accepted_tokens;
}

text::TokenId Generation::sample(const LogitsRow& row) {
  if (const text::TopLogits* top = row.top())
    if (const std::optional<text::Choice> choice = sampler_.sample(*top, tokens_.size()))
      return choice->id;
  return sampler_.sample(row.all(), tokens_.size()).id;
}

void Generation::choose(const LogitsRow& row, std::int64_t context) {
  const text::TokenId id = sample(row);
  sampler_.accept(id);
  if (first_token_ns_ == 0) {
    first_token_ns_ = now_ns();
    timings_.prompt_ns = first_token_ns_ - started_ns_;
  }
  if (!request_.ignore_eos && tokenizer_ && tokenizer_->is_end_of_generation(id)) {
    finish(FinishReason::stop);
    return;
  }
  ++timings_.generated_tokens;
  tokens_.push_back(id);
  emit(id, row);
  if (stop_filter_.stopped()) {
    finish(FinishReason::stop);
  } else if (full(context)) {
    finish(FinishReason::length);
  }
}

void Generation::finish(FinishReason reason, std::optional<Error> error) {
  if (std::exchange(finished_, true)) return;
  GenerationEvent last;
  if (detokenizer_) last.text = stop_filter_.push(detokenizer_->finish()) + stop_filter_.finish();
  if (first_token_ns_ != 0) timings_.generate_ns = now_ns() - first_token_ns_;
  last.finished = reason;
  last.error = std::move(error);
  last.timings = timings_;
  channel_->push(std::move(last));
}

}  // namespace strata
