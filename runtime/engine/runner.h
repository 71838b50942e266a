#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "runtime/engine/kv_cache.h"
#include "runtime/engine/programs.h"
#include "runtime/engine/resident_weights.h"
#include "runtime/graph/executor.h"
#include "runtime/ops/step_state.h"

namespace strata {

/// One token of a ragged batch.
struct BatchToken {
  std::int32_t token = 0;     ///< < vocab
  std::int32_t sequence = 0;  ///< slot of the KV cache's pool
  std::int32_t position = 0;  ///< < the sequence's length there
  bool wants_logits = false;
};

struct RunnerOptions {
  ProgramOptions programs;
  std::int64_t context = 0;  ///< tokens per sequence; resolved, > 0
  std::int32_t max_sequences = 1;
  std::int64_t weight_block_rows = 0;  ///< > 0: cut weights into row blocks (tests)
};

/// Memory that a model takes on its device, by purpose.
struct MemoryPlan {
  std::uint64_t weights_mapped = 0;  ///< used in the file's own pages
  std::uint64_t weights_packed = 0;  ///< copies: in the kernels' layout, or on another memory
  std::uint64_t kv = 0;
  std::uint64_t compute = 0;  ///< arena, hidden states, logits, step block
  std::uint64_t total() const { return allocated() + weights_mapped; }
  /// Mapped weights are page cache, which the system takes back when it must: they may exceed what
  /// is free, if slowly. This may not.
  std::uint64_t allocated() const { return weights_packed + kv + compute; }
  /// Bytes by which it does not fit into `free`; 0: it fits.
  std::uint64_t missing(std::uint64_t free) const {
    return allocated() > free ? allocated() - free : 0;
  }
};

/// A model on one device, ready to run steps: programs bound to weights, KV cache, activations.
/// After the constructor a step allocates nothing. Used by one thread.
class Runner {
 public:
  using Progress = LoadProgress;

  /// Loads the weights. Throws Error{does_not_fit} with the numbers, Error{out_of_memory},
  /// Error{unsupported_op}. The device outlives the Runner.
  Runner(std::shared_ptr<const Model> model, Device& device, const RunnerOptions& options,
         const Progress& progress = {});

  /// The same numbers without loading anything.
  static MemoryPlan plan_memory(const Model& model, Device& device, const RunnerOptions& options);

  const Model& model() const { return *model_; }
  const RunnerOptions& options() const { return options_; }
  const MemoryPlan& memory() const { return memory_; }
  KvCache& kv() { return kv_; }
  std::int32_t max_tokens() const { return options_.programs.max_tokens; }

  /// Called once per wanted token, in batch order: index in the batch and its logits (vocab), valid
  /// during the call.
  using LogitsSink = std::function<void(std::size_t index, std::span<const float> logits)>;
  /// Runs 1 .. max_tokens() tokens. Their sequences have been extended in the cache's pool, which
  /// the positions are within. Throws Error{bad_request} for a token or position out of range.
  void step(std::span<const BatchToken> batch, const LogitsSink& sink);

  /// Per-op samples of the next steps go to `trace` (null: off).
  void set_trace(std::vector<OpSample>* trace) { executor_.set_trace(trace); }

 private:
  struct BoundPlan {
    const Plan* plan = nullptr;
    std::vector<WeightBinding> weights;
  };
  struct BoundBucket {
    std::int32_t tokens = 0;
    BoundPlan head;
    std::vector<BoundPlan> layers;  ///< one per layer
    BoundPlan tail;
  };

  static BoundPlan bind(const Model& model, ResidentWeights& weights, const Plan& plan,
                        std::int32_t layer);
  static std::vector<BoundBucket> bind_all(const Model& model, ResidentWeights& weights,
                                           const Programs& programs);
  static MemoryPlan measure(const Model& model, const DeviceInfo& device,
                            const RunnerOptions& options, const Programs& programs,
                            const ResidentWeights& weights);
  static std::int32_t logit_rows(const Model& model, const RunnerOptions& options);
  void check_batch(std::span<const BatchToken> batch) const;
  void write_step(std::span<const BatchToken> batch);
  std::size_t write_wanted(std::size_t first);
  void run_layers(const BoundBucket& bucket, const StepExtent& extent);
  void run_tail(const BoundBucket& bucket, std::span<const BatchToken> batch,
                const LogitsSink& sink);
  TensorView hidden(int index) const;
  void upload_step();

  std::shared_ptr<const Model> model_;
  Device& device_;
  RunnerOptions options_;
  std::unique_ptr<Stream> stream_;
  Programs programs_;
  ResidentWeights weights_;
  std::vector<BoundBucket> bound_;
  MemoryPlan memory_;
  KvCache kv_;
  Buffer arena_;
  Buffer hidden_[2];
  Buffer logits_;
  Buffer step_device_;
  Buffer step_host_;
  Buffer logits_host_;
  StepState* step_ = nullptr;
  std::vector<std::int32_t> wanted_;  ///< batch indices whose logits are wanted
  int current_ = 0;                   ///< which hidden buffer holds the last layer's output
  Executor executor_;
};

}  // namespace strata
