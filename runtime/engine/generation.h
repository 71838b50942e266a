#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "runtime/engine/logits_row.h"
#include "runtime/engine/request.h"
#include "runtime/engine/stop_filter.h"
#include "runtime/text/detokenizer.h"

namespace strata {

/// What engine and caller share of a request: a queue of events, and the wish to cancel. Safe from
/// any thread. Allocates only when more events wait than ever before.
class GenerationChannel {
 public:
  GenerationChannel();
  void push(GenerationEvent event);
  /// Waits for the next event; empty once the last one has been taken.
  std::optional<GenerationEvent> next();
  void cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

 private:
  std::mutex mutex_;
  std::condition_variable ready_;
  std::vector<GenerationEvent> ring_;  // events_ of them wait, the first at first_
  std::size_t first_ = 0;
  std::size_t events_ = 0;
  bool ended_ = false;
  std::atomic<bool> cancelled_{false};
};

/// The engine's side of one request: what has been run, and how chosen tokens become events. Used
/// by the engine's thread.
class Generation {
 public:
  /// Throws Error{bad_request} for parameters or ids out of range. `tokenizer` may be null: then
  /// there is no text and no end token. `key` separates the random numbers of equal seeds.
  Generation(Request request, std::shared_ptr<const text::Tokenizer> tokenizer,
             std::size_t vocabulary, std::uint64_t key, std::shared_ptr<GenerationChannel> channel);

  const Request& request() const { return request_; }
  GenerationChannel& channel() { return *channel_; }
  bool finished() const { return finished_; }

  /// Tokens that are still to be run, in order: the rest of the prompt, or the last chosen token.
  std::int64_t pending() const { return static_cast<std::int64_t>(tokens_.size()) - run_; }
  text::TokenId token_at(std::int64_t position) const {
    return tokens_[static_cast<std::size_t>(position)];
  }
  std::int64_t run() const { return run_; }
  /// Tokens of the answer so far.
  std::int64_t generated() const { return timings_.generated_tokens; }
  void advance(std::int64_t tokens) { run_ += tokens; }

  /// Called once all tokens have joined the batch: at most `room` tokens that may follow them, to
  /// be run with them. Empty while the prompt is run. Valid until the next call.
  std::span<const text::TokenId> propose(std::int64_t room, std::int64_t context);
  /// They are not run after all.
  void drop_draft();

  /// Chooses the next token from the logits of the last one and sends its event; finishes the
  /// request at an end token, a stop string, its limit or when `context` tokens are full. With a
  /// draft it is called for the pending token and for each of the draft's in turn: they count as
  /// run as long as they are what is chosen, so that the answer is the one without a draft.
  void take(const LogitsRow& row, std::int64_t context);
  /// Whether the `count` largest logits may be enough to choose a token from.
  bool takes_top(std::size_t count) const;
  /// Whether the token after the one that is being chosen can be run before that is known: it will
  /// be the largest logit's, and neither the limit nor `context` ends the request with it.
  bool may_run_ahead(std::int64_t context) const;
  void finish(FinishReason reason, std::optional<Error> error = std::nullopt);
  /// Admitted: `context` is the most tokens it can ever have.
  void mark_started(std::int64_t context);

  std::int32_t slot = -1;  ///< of the KV cache; -1 while queued

 private:
  void choose(const LogitsRow& row, std::int64_t context);
  text::TokenId sample(const LogitsRow& row);
  void emit(text::TokenId id, const LogitsRow& row);
  bool full(std::int64_t context, std::int64_t more = 0) const;

  Request request_;
  std::shared_ptr<const text::Tokenizer> tokenizer_;
  std::shared_ptr<GenerationChannel> channel_;
  text::Sampler sampler_;
  std::optional<text::Detokenizer> detokenizer_;
  StopFilter stop_filter_;
  std::vector<text::TokenId> tokens_;  // prompt, then what was chosen
  std::int64_t run_ = 0;
  std::vector<text::TokenId> draft_;
  std::size_t checked_ = 0;  // tokens of the draft that were chosen
  bool draft_open_ = false;  // none was found wrong yet
  bool finished_ = false;
  RequestTimings timings_;
  std::int64_t submitted_ns_ = 0;
  std::int64_t started_ns_ = 0;
  std::int64_t first_token_ns_ = 0;
};

}  // namespace strata
