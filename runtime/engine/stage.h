#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "runtime/engine/candidate_finder.h"
#include "runtime/engine/kv_cache.h"
#include "runtime/engine/placement.h"
#include "runtime/engine/programs.h"
#include "runtime/engine/stage_weights.h"
#include "runtime/engine/step_progress.h"
#include "runtime/graph/executor.h"
#include "runtime/ops/step_state.h"

namespace strata {

struct RunnerOptions {
  ProgramOptions programs;
  std::int64_t context = 0;  ///< tokens per sequence; resolved, > 0
  std::int32_t max_sequences = 1;
  std::int64_t weight_block_rows = 0;  ///< > 0: cut weights into row blocks (tests)
  StreamSettings stream;               ///< of the parts whose weights stream
  /// > 0: the experts of a part's layers have so many slots together on its device and are brought
  /// when they are chosen, wherever the rest of their layer is.
  std::int64_t expert_slots = 0;
  /// So many of these experts stay in pinned memory of the host once they are read, the last ones
  /// used: they come from there when they are in no slot. Of no use where memory is unified.
  std::int64_t experts_kept = 0;
  std::uint64_t logit_bytes = std::uint64_t{64} << 20;  ///< most for the logits of one pass
  /// So many of the largest logits are found on the device (not on the CPU), so that only they come
  /// to the host where they are enough; 0: all logits always come. Tokens are the same.
  std::int32_t candidates = 64;
  bool run_ahead = true;     ///< false: no step is started before the last one's tokens are known
  ProgressSink on_progress;  ///< where weights stream; may be empty
  SlotObserver* observer = nullptr;  ///< of device slots (tests)

  KvExtent kv_extent() const { return {context, max_sequences}; }
};

/// Memory that a part of a model takes on its device, by purpose.
struct MemoryPlan {
  std::uint64_t weights_mapped = 0;  ///< used in the file's own pages
  std::uint64_t weights_packed = 0;  ///< copies: in the kernels' layout, or on another memory
  std::uint64_t kv = 0;
  std::uint64_t compute = 0;  ///< arena, hidden states, logits, step block
  std::uint64_t stream = 0;   ///< slots that weights stream through
  std::uint64_t host = 0;     ///< pinned host memory that they come from; not the device's
  std::uint64_t total() const { return allocated() + weights_mapped; }
  /// Mapped weights are page cache, which the system takes back when it must: they may exceed what
  /// is free, if slowly. This may not.
  std::uint64_t allocated() const { return weights_packed + kv + compute + stream; }
  /// Bytes by which it does not fit into `free`; 0: it fits.
  std::uint64_t missing(std::uint64_t free) const {
    return allocated() > free ? allocated() - free : 0;
  }
  MemoryPlan& operator+=(const MemoryPlan& other);
};

/// A token of a step that the step before has chosen: batch[index] is the largest logit's of its
/// wanted row `row`.
struct ChosenToken {
  std::int32_t index;
  std::int32_t row;
};

/// What a run of a stage's part is for.
struct StageWork {
  std::int32_t tokens = 0;
  std::int32_t rows = 0;  ///< of logits; 0: no tail
  bool finds = false;     ///< candidates in them too; rows <= candidate_rows()
  std::span<const ChosenToken> chosen;
};

/// A run of layers of a stage.
struct StagePart {
  PlacedPart placed;
  bool head = false;  ///< looks up the embeddings before
  bool tail = false;  ///< makes the logits afterwards
};

/// The parts of a placed model on one device, ready to run steps. After load() a step allocates
/// nothing. Where the device can record and all weights stay on it, decoding steps are recorded
/// once and replayed, at the capacity of their bucket: what varies is in the step block. Used by
/// one thread.
class Stage {
 public:
  /// Plans; takes no memory. `parts`, at least one, are all on `device`.
  Stage(const Model& model, Device& device, std::vector<StagePart> parts,
        const RunnerOptions& options);

  /// Asks for memory and brings the weights. Throws Error{out_of_memory}.
  void load(const LoadProgress& progress);

  Device& device() const { return device_; }
  const MemoryPlan& memory() const { return memory_; }
  Stream& stream() { return *stream_; }
  KvCache& kv() { return *kv_; }
  const StageWeights& weights() const { return weights_; }
  /// Most rows of logits that one run makes.
  std::int32_t logit_rows() const { return logit_rows_; }
  /// Most rows of logits that candidates are looked for in; 0: the device does not.
  std::int32_t candidate_rows() const { return finder_ ? finder_->rows() : 0; }
  /// A new step: there are two places in host memory by turns, for the step block and for
  /// candidates, so that one step can be prepared while another is in flight.
  void turn() { place_ = 1 - place_; }
  std::size_t place() const { return place_; }
  /// The host's copy of the step block; written while no run of this step is in flight.
  StepState& step() { return *step_[place_]; }
  std::span<std::byte> step_bytes() { return {step_host_[place_].data(), step_device_.bytes()}; }

  /// Enqueues a part of a step: the step block goes up and chosen tokens into it, then head and
  /// layers, then the tail.
  void run(std::size_t part, const StageWork& work);
  /// Enqueues the tail once more for other wanted rows; the stream has been waited for.
  void run_more_rows(std::int32_t tokens, std::int32_t rows);
  /// Enqueues the copy of rows [first, first + rows) of the logits to the host; and of the
  /// candidates of the first `rows`.
  void fetch_logits(std::int32_t first, std::int32_t rows);
  void fetch_candidates(std::int32_t rows) { finder_->fetch(*stream_, rows, place_); }
  /// A row that was fetched, (vocab), and what was found in it, once the stream has been waited
  /// for.
  std::span<const float> logits(std::int32_t row) const;
  CandidateRow candidates(std::int32_t row, std::size_t place) const {
    return finder_->row(row, place);
  }

  /// Hands the hidden states of a part's run to the stage of the next part, through the host; waits
  /// for this stream.
  void pass_on(std::size_t part, std::int32_t tokens, Stage& next);

  /// Makes the stage usable again after a step that did not end. False if the device is not.
  bool recover();

  void set_trace(std::vector<OpSample>* trace);

 private:
  struct BoundPlan {
    const Plan* plan = nullptr;
    std::vector<WeightBinding> weights;
  };
  struct BoundPart {
    std::vector<BoundPlan> layers;
    std::unique_ptr<Recording> recorded[3];  ///< without tail, with it, with candidates
  };
  struct Bucket {
    std::int32_t tokens = 0;
    BoundPlan head;
    std::vector<BoundPart> parts;
    BoundPlan tail;
  };

  bool in_file_layout(Tier tier) const;
  bool whole_matrices() const;
  ProgramPart program_part(bool file_layout) const;
  const ProgramBucket& bucket_of(std::size_t index, Tier tier) const;
  BoundPlan bind_layer(std::size_t bucket, const PlacedPart& part, std::int32_t layer);
  BoundPlan bind_tail(std::size_t bucket, const PlacedPart& part);
  void bind_bucket(std::size_t index);
  std::size_t arena_bytes() const;
  void measure();
  Bucket& bucket_for(std::int32_t tokens);
  bool records(const Bucket& bucket) const;
  void upload_step(std::span<const ChosenToken> chosen);
  void enqueue(const Bucket& bucket, std::size_t part, const StepExtent& extent, bool finds);
  void enqueue_layers(const Bucket& bucket, std::size_t part, const StepExtent& extent);
  void enqueue_tail(const Bucket& bucket, const StepExtent& extent);
  TensorView logits_view() const;
  TensorView hidden(int index) const;
  TensorView step_view() const;
  std::size_t logit_bytes() const;
  std::int64_t most_routes() const;
  void load_experts();

  const Model& model_;
  Device& device_;
  std::vector<StagePart> parts_;
  RunnerOptions options_;
  bool head_ = false;
  bool tail_ = false;
  std::int32_t logit_rows_ = 0;
  std::unique_ptr<Stream> stream_;
  Programs programs_;
  Programs file_programs_;  ///< of the layers that are computed in the file's layout
  StageWeights weights_;
  std::vector<Bucket> buckets_;
  MemoryPlan memory_;
  std::unique_ptr<KvCache> kv_;
  Buffer arena_;
  Buffer hidden_[2];
  Buffer hidden_host_;  ///< what the stage before hands over
  Buffer logits_;
  Buffer logits_host_;
  std::optional<CandidateFinder> finder_;
  Buffer step_device_;
  Buffer step_host_[2];
  StepState* step_[2] = {};
  std::size_t place_ = 0;
  Buffer routes_host_;  ///< of tokens to experts that are brought when they are chosen
  Buffer routes_device_;
  std::unique_ptr<Executor> executor_;
  bool tracing_ = false;
};

}  // namespace strata
