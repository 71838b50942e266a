#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/engine/logits_row.h"
#include "runtime/engine/page_pool.h"
#include "runtime/engine/placement.h"
#include "runtime/engine/stage.h"

namespace strata {

/// One token of a ragged batch.
struct BatchToken {
  std::int32_t token = 0;     ///< < vocab, or chosen_token()
  std::int32_t sequence = 0;  ///< slot of the KV cache's pool
  std::int32_t position = 0;  ///< < the sequence's length there
  bool wants_logits = false;
  bool top_only = false;  ///< the largest of them will probably do
};

/// Stands for the token of the largest logit in a wanted row of the step in flight, counted from 0
/// in batch order.
constexpr std::int32_t chosen_token(std::int32_t row) { return -1 - row; }

/// A model on its devices, ready to run steps: a stage per part of its placement, and the pool of
/// their caches' pages. After the constructor a step allocates nothing (a recorded one after its
/// first run). Used by one thread.
class Runner {
 public:
  using Progress = LoadProgress;

  /// Loads the weights. Throws Error{does_not_fit} with the numbers, Error{out_of_memory},
  /// Error{unsupported_op}. The devices outlive the Runner.
  Runner(std::shared_ptr<const Model> model, const Placement& placement,
         const RunnerOptions& options, const Progress& progress = {});
  /// All of it on one device.
  Runner(std::shared_ptr<const Model> model, Device& device, const RunnerOptions& options,
         const Progress& progress = {});

  /// Waits for steps that were started and not finished.
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  /// What is taken on each device of the placement, in the order of devices_of(), without loading
  /// anything.
  static std::vector<MemoryPlan> plan_memory(const Model& model, const Placement& placement,
                                             const RunnerOptions& options);

  const Model& model() const { return *model_; }
  const RunnerOptions& options() const { return options_; }
  /// Of all devices together.
  MemoryPlan memory() const;
  /// Whether weights stream to a device.
  bool streams() const;
  /// What that has moved so far, on all devices together.
  StreamStats stream_stats() const;
  /// Which pages hold which tokens of which sequence.
  PagePool& pool() { return pool_; }
  std::int32_t max_tokens() const { return options_.programs.max_tokens; }

  /// Called once per wanted token, in batch order: index in the batch and its logits (vocab), valid
  /// during the call.
  using LogitsSink = std::function<void(std::size_t index, std::span<const float> logits)>;
  /// Runs 1 .. max_tokens() tokens. Their sequences have been extended in the cache's pool, which
  /// the positions are within. Throws Error{bad_request} for a token or position out of range, and
  /// Error{io} when weights cannot be read; the next step finds the Runner in order again, but what
  /// this one would have written to the cache is not there. Throws Error{device_missing}, now and
  /// at every later step, when a device is lost: it fails and cannot be waited for any more.
  void step(std::span<const BatchToken> batch, const LogitsSink& sink);

  /// The same in two parts: start() enqueues the step, finish() waits for the one that was started
  /// first and hands out its rows. Each throws as step(), which ends every step that was started.
  using RowSink = std::function<void(std::size_t index, const LogitsRow& row)>;
  void start(std::span<const BatchToken> batch);
  void finish(const RowSink& sink);
  /// Waits for the step that was started first, and forgets its logits.
  void drop();
  /// Most rows of a step whose largest logits are found on the device; 0: it looks for none.
  std::int32_t candidate_rows() const { return hops_.back().stage->candidate_rows(); }
  /// How many of each row.
  std::int32_t candidates() const { return candidate_rows() > 0 ? options_.candidates : 0; }
  /// Whether another step may be started before the one in flight has been finished: it may take
  /// chosen tokens from that one, all of whose rows are `top_only`. One device that has the whole
  /// model, weights that do not stream.
  bool may_follow() const;

  /// Per-op samples of the next steps go to `trace` (null: off).
  void set_trace(std::vector<OpSample>* trace);

 private:
  void check_batch(std::span<const BatchToken> batch) const;
  void expect_few_embeddings() const;
  // A step that was started and not finished.
  struct Flight {
    std::int32_t tokens = 0;
    std::int32_t rows = 0;             // of its first pass of the tail
    bool finds = false;                // candidates in them
    bool tops_only = false;            // in all of them
    std::size_t place = 0;             // of the last stage's candidates in host memory
    std::uint64_t ticket = 0;          // of the last stage's stream
    std::vector<std::int32_t> wanted;  // batch indices whose logits are wanted
    std::vector<bool> top_only;        // of them
  };

  bool is_chosen(std::int32_t token) const;
  void write_step(std::span<const BatchToken> batch, Flight& flight);
  std::int32_t write_wanted(const Flight& flight, std::size_t first);
  void run_stages(Flight& flight);
  void fetch(const Flight& flight);
  void enqueue_step(std::span<const BatchToken> batch);
  void wait_for(const Flight& flight);
  void hand_out(const Flight& flight, const RowSink& sink);
  void hand_out_pass(const Flight& flight, std::size_t first, std::int32_t rows,
                     const RowSink& sink);
  Flight& oldest() { return flights_[oldest_]; }
  const Flight& oldest() const { return flights_[oldest_]; }
  void land();
  void recover(const std::string& why);
  template <class Work>
  void guarded(const Work& work);

  std::shared_ptr<const Model> model_;
  RunnerOptions options_;
  // A part of the placement: which stage runs it, and as which of its parts.
  struct Hop {
    Stage* stage;
    std::size_t part;
  };

  std::vector<std::unique_ptr<Stage>> stages_;  // one per device
  std::vector<Hop> hops_;
  PagePool pool_;
  std::array<Flight, 2> flights_;
  std::size_t oldest_ = 0;           ///< of flights_
  std::size_t in_flight_ = 0;        ///< so many of them
  std::vector<ChosenToken> chosen_;  ///< of the step that is being started
  bool tracing_ = false;
  std::optional<Error> lost_;  ///< a device is
};

}  // namespace strata
