#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "runtime/engine/placement.h"
#include "runtime/engine/resident_weights.h"
#include "runtime/engine/weight_pieces.h"
#include "runtime/graph/executor.h"
#include "runtime/streaming/streamed_experts.h"
#include "runtime/streaming/streamed_weights.h"
#include "runtime/streaming/tier.h"

namespace strata {

/// How weights get to a device.
struct WeightOptions {
  bool pack = true;             ///< in the layouts that kernels want
  std::int64_t block_rows = 0;  ///< > 0: cut resident weights into row blocks (tests)
  StreamSettings stream;
  std::int64_t expert_slots = 0;  ///< > 0: experts are not where their layers are but in so many
                                  ///< slots, brought when they are chosen
  std::int64_t experts_kept = 0;  ///< of those, so many stay in pinned memory once they are read
};

/// The weights of a model's part on one device: those that stay there and those that stream. Small
/// weights (norms, biases) always stay.
class StageWeights final : public WeightSource {
 public:
  StageWeights(const Model& model, Device& device, const WeightOptions& options);

  /// Registers what a plan reads for a layer (-1: the model's own weights) and returns where it is.
  /// Plans are bound in the order in which a step runs them. `experts_stay`: the layer's experts
  /// are where its other matrices are. `ops`: where these are not all in one tier.
  std::vector<WeightBinding> bind(const Plan& plan, std::int32_t layer, Tier tier,
                                  bool experts_stay = false, const OpTiers& ops = {});

  /// Bytes used in the file's pages where the device can, bytes of device memory for weights that
  /// stay, and what streaming takes.
  std::uint64_t mapped_bytes() const { return resident_.mapped_bytes(); }
  std::uint64_t packed_bytes() const { return resident_.packed_bytes(); }
  FeedMemory stream_memory() const;
  bool streams() const { return !streamed_.empty() || !experts_.empty(); }
  const StreamedWeights& streamed() const { return streamed_; }
  /// Experts that are brought when they are chosen; empty() where there are none such.
  StreamedExperts& experts() { return experts_; }
  /// What they are loaded with.
  ExpertOptions expert_options() const;

  /// Takes the memory and brings what stays. `scratch` is device memory that nobody else uses
  /// meanwhile. Throws Error{out_of_memory}, Error{io}.
  void load(Stream& stream, BufferSpan scratch, const LoadProgress& progress,
            SlotObserver* observer);

  Lease acquire(BlockId block, Stream& compute) override {
    return source(block).acquire(block, compute);
  }
  void release(const Lease& lease, const Event& last_use) override {
    source(lease.block).release(lease, last_use);
  }
  /// After a step that did not end; no stream is at work.
  void restart() { streamed_.restart(); }
  StreamStats stats() const;

 private:
  WeightSource& source(BlockId block) {
    if (block.tensor == StreamedWeights::kTensor) return streamed_;
    return resident_;
  }
  void bind_matrices(const Plan& plan, std::int32_t layer, Tier tier, const OpTiers& ops,
                     std::vector<WeightBinding>& bindings);
  void bind_piece(const Plan& plan, std::int32_t layer, std::span<const std::size_t> slots,
                  PieceOf piece, Tier tier, std::vector<WeightBinding>& bindings);
  void bind_experts(const Plan& plan, std::int32_t layer, std::vector<WeightBinding>& bindings);
  StreamedMatrix matrix_of(const WeightSlot& slot, std::int32_t layer) const;
  std::unique_ptr<BlockReader> open_weight_reader(std::uint64_t bytes) const;

  const Model& model_;
  Device& device_;
  WeightOptions options_;
  ResidentWeights resident_;
  StreamedWeights streamed_;
  std::unique_ptr<BlockReader> expert_reader_;
  StreamedExperts experts_;
};

}  // namespace strata
