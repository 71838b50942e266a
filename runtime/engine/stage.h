#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "runtime/engine/kv_cache.h"
#include "runtime/engine/placement.h"
#include "runtime/engine/programs.h"
#include "runtime/engine/resident_weights.h"
#include "runtime/graph/executor.h"
#include "runtime/ops/step_state.h"

namespace strata {

struct RunnerOptions {
  ProgramOptions programs;
  std::int64_t context = 0;  ///< tokens per sequence; resolved, > 0
  std::int32_t max_sequences = 1;
  std::int64_t weight_block_rows = 0;  ///< > 0: cut weights into row blocks (tests)

  KvExtent kv_extent() const { return {context, max_sequences}; }
};

/// Memory that a part of a model takes on its device, by purpose.
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
  MemoryPlan& operator+=(const MemoryPlan& other);
};

/// One part of a placed model, ready to run steps on its device: programs bound to weights, the
/// cache of its layers, activations. After load() a step allocates nothing. Where the device can
/// record, decoding steps are recorded once and replayed, at the capacity of their bucket: what
/// varies is in the step block. Used by one thread.
class Stage {
 public:
  /// Plans; takes no memory. `first` and `last`: whether it has the model's head and tail.
  Stage(const Model& model, const PlacedPart& part, bool first, bool last,
        const RunnerOptions& options);

  /// Asks for memory and brings the weights. Throws Error{out_of_memory}.
  void load(const LoadProgress& progress);

  const PlacedPart& part() const { return part_; }
  Device& device() const { return *part_.device; }
  const MemoryPlan& memory() const { return memory_; }
  Stream& stream() { return *stream_; }
  KvCache& kv() { return *kv_; }
  /// Most rows of logits that one run makes.
  std::int32_t logit_rows() const { return logit_rows_; }
  /// The host's copy of the step block; written while no run is in flight.
  StepState& step() { return *step_; }
  std::span<std::byte> step_bytes() { return {step_host_.data(), step_host_.bytes()}; }

  /// Enqueues a step: the step block goes up, then head and layers, then (`rows` > 0) the tail,
  /// whose logits go to the host.
  void run(std::int32_t tokens, std::int32_t rows);
  /// Enqueues the tail once more for other wanted rows; the stream has been waited for.
  void run_more_rows(std::int32_t tokens, std::int32_t rows);
  /// The logits of the last run, (rows, vocab), once the stream has been waited for.
  std::span<const float> logits(std::int32_t rows) const;

  /// Hands the hidden states of a run to the next stage, through the host; waits for this stream.
  void pass_on(std::int32_t tokens, Stage& next);

  void set_trace(std::vector<OpSample>* trace);

 private:
  struct BoundPlan {
    const Plan* plan = nullptr;
    std::vector<WeightBinding> weights;
  };
  struct Bucket {
    std::int32_t tokens = 0;
    BoundPlan head;
    std::vector<BoundPlan> layers;  ///< one per layer of the part
    BoundPlan tail;
    std::unique_ptr<Recording> recorded[2];  ///< without and with the tail
  };

  BoundPlan bind(const Plan& plan, std::int32_t layer);
  void bind_all();
  void measure();
  Bucket& bucket_for(std::int32_t tokens);
  bool records(const Bucket& bucket) const;
  void upload_step();
  void enqueue_layers(const Bucket& bucket, const StepExtent& extent);
  void enqueue_tail(const Bucket& bucket, const StepExtent& extent);
  void fetch_logits(std::int32_t rows);
  TensorView hidden(int index) const;
  TensorView step_view() const;
  std::size_t logit_bytes() const;

  const Model& model_;
  PlacedPart part_;
  bool first_;
  bool last_;
  RunnerOptions options_;
  std::int32_t logit_rows_ = 0;
  std::unique_ptr<Stream> stream_;
  Programs programs_;
  ResidentWeights weights_;
  std::vector<Bucket> buckets_;
  MemoryPlan memory_;
  std::unique_ptr<KvCache> kv_;
  Buffer arena_;
  Buffer hidden_[2];
  Buffer hidden_host_;  ///< what the stage before hands over
  Buffer logits_;
  Buffer logits_host_;
  Buffer step_device_;
  Buffer step_host_;
  StepState* step_ = nullptr;
  std::unique_ptr<Executor> executor_;
  bool tracing_ = false;
};

}  // namespace strata
