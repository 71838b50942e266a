#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "runtime/engine/generation.h"
#include "runtime/engine/lookup_draft.h"
#include "runtime/engine/runner.h"

namespace strata {

/// The caller's side of a submitted request. Dropping it cancels the request. For one thread.
class RequestHandle {
 public:
  explicit RequestHandle(std::shared_ptr<GenerationChannel> channel)
      : channel_(std::move(channel)) {}
  RequestHandle(RequestHandle&&) = default;
  RequestHandle& operator=(RequestHandle&& other) noexcept {
    if (channel_ && channel_ != other.channel_) channel_->cancel();
    channel_ = std::move(other.channel_);
    return *this;
  }
  ~RequestHandle() {
    if (channel_) channel_->cancel();
  }

  /// Waits for the next event; empty after the one with `finished`.
  std::optional<GenerationEvent> next() { return channel_->next(); }
  /// The request ends with FinishReason::cancelled within a step. Safe from any thread and from
  /// signal handlers.
  void cancel() { channel_->cancel(); }

 private:
  std::shared_ptr<GenerationChannel> channel_;
};

/// Whether steps of decoding run tokens that prompt lookup proposes beside the chosen ones. Answers
/// are the same either way, as far as the device's logits do not depend on the batch.
enum class Speculation : std::uint8_t {
  streaming,  ///< where weights stream, as long as it pays
  always,     ///< wherever something is proposed (tests)
  never,
};

/// Makes a Runner of the same model that takes the place of one whose device is lost, and that is
/// gone by now; null: there is none. Called by the engine's thread.
using RunnerReplacement = std::function<std::unique_ptr<Runner>(const Error& lost)>;

/// Runs requests on a Runner in a thread of its own, as many at a time as the Runner has sequences,
/// in one ragged batch per step. While all of them only ask for the largest logit, and the Runner
/// allows it, each step is started before the last one's tokens are known to the host: it takes
/// them on the device, and is forgotten when one of them ends its request. A request that fails
/// ends alone. When a device is lost the requests that run fail, and those that wait go on with the
/// replacement, if there is one, else they fail with the same error. Thread-safe.
class Engine {
 public:
  /// `tokenizer` may be null (no text, no end tokens). The Runner is the engine's from now on.
  Engine(std::unique_ptr<Runner> runner, std::shared_ptr<const text::Tokenizer> tokenizer,
         Speculation speculation = Speculation::streaming, RunnerReplacement replacement = {});
  /// Ends all requests as cancelled.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Queues a request. Throws Error{bad_request} at once for one that can never run: empty prompt,
  /// ids out of range, a prompt that does not fit the context, parameters out of range.
  RequestHandle submit(Request request);

  /// Of each request, in tokens; a replacement's may be another.
  std::int64_t context() const { return context_.load(); }

 private:
  void work();
  void check(const Request& request) const;
  void admit();
  // A step as the engine sees it.
  struct Step {
    std::vector<BatchToken> batch;
    std::vector<Generation*> owner;  // of each token of the batch that wants logits
  };

  void run_step();
  void make_step();
  void start_ahead();
  bool may_run_ahead() const;
  bool ahead_holds() const;
  bool take_ahead();
  void drop_ahead();
  void abandon_steps();
  void forget_drafts();
  std::int64_t add_tokens(Generation& generation, std::int64_t room);
  std::int64_t add_draft(Generation& generation, std::int64_t room);
  bool speculates() const;
  bool takes_top(const Generation& generation) const;
  void finish_and_measure();
  void on_logits(std::size_t index, const LogitsRow& row);
  void retire();
  void fail_all(const Error& error);
  void use(std::unique_ptr<Runner> runner);
  void replace(const Error& lost);

  std::unique_ptr<Runner> runner_;  // null: its device is lost, and there is no other
  std::shared_ptr<const text::Tokenizer> tokenizer_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::unique_ptr<Generation>> queue_;  // guarded by mutex_
  bool stopping_ = false;                          // guarded by mutex_
  std::int64_t vocabulary_ = 0;
  std::atomic<std::int64_t> context_{0};

  // The rest belongs to the worker.
  RunnerReplacement replacement_;
  std::optional<Error> lost_;  // the device, with no replacement
  std::vector<std::unique_ptr<Generation>> active_;
  Step step_;
  Step ahead_;               // the step behind it
  bool ahead_runs_ = false;  // it has been started
  std::chrono::steady_clock::time_point began_;
  Speculation speculation_;
  DraftGovernor governor_;
  std::int64_t drafted_ = 0;   // tokens of the batch
  std::int64_t decoding_ = 0;  // tokens of the batch that are a decoding request's last
  std::int64_t chosen_ = 0;    // tokens that came out of it
  std::thread worker_;
};

}  // namespace strata
