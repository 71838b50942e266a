#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/engine/page_pool.h"
#include "runtime/engine/placement.h"
#include "runtime/engine/stage.h"

namespace strata {

/// One token of a ragged batch.
struct BatchToken {
  std::int32_t token = 0;     ///< < vocab
  std::int32_t sequence = 0;  ///< slot of the KV cache's pool
  std::int32_t position = 0;  ///< < the sequence's length there
  bool wants_logits = false;
};

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

  /// Per-op samples of the next steps go to `trace` (null: off).
  void set_trace(std::vector<OpSample>* trace);

 private:
  void check_batch(std::span<const BatchToken> batch) const;
  void expect_few_embeddings() const;
  void write_step(std::span<const BatchToken> batch);
  std::int32_t write_wanted(std::size_t first);
  std::int32_t run_stages(std::int32_t tokens);
  void run_step(std::span<const BatchToken> batch, const LogitsSink& sink);
  void hand_out(std::int32_t tokens, std::int32_t rows, const LogitsSink& sink);
  void recover(const std::string& why);

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
  std::vector<std::int32_t> wanted_;  ///< batch indices whose logits are wanted
  std::optional<Error> lost_;         ///< a device is
};

}  // namespace strata
