#pragma once

#include <cstdint>
#include <vector>

#include "runtime/engine/programs.h"
#include "runtime/streaming/stream_units.h"

namespace strata {

/// What an op reads of the file in one launch, if its matrices are streamed.
struct OpMatrices {
  std::vector<StreamedMatrix> matrices;
  std::uint64_t file_bytes = 0;
  std::uint64_t packed_bytes = 0;  ///< in the kernels' layout
  double flops = 0;                ///< of one token
};

/// A program's weights as the planner sees them.
struct ProgramWeights {
  std::vector<OpMatrices> ops;
  std::uint64_t small_bytes = 0;
};

/// The op in ranges of rows of about so many bytes of the file (StageWeights cuts in as many): one
/// where its matrices differ in rows, as their blocks would not go together.
std::vector<OpMatrices> cut_op(const OpMatrices& op, std::uint64_t target_bytes);

/// Reads plans for one token: what a device would keep or stream of each layer, or where it is
/// asked for, of each layer's halves too. The model and the device outlive it.
class WeightReader {
 public:
  WeightReader(const Model& model, Device& device, const ProgramOptions& options,
               bool halves = false);

  const Plan& program(std::int32_t layer, LayerPart part = LayerPart::whole) const;
  /// `shared`: without the experts, which come one by one.
  ProgramWeights layer(std::int32_t layer, bool shared, LayerPart part = LayerPart::whole) const {
    return weights(program(layer, part), layer, shared);
  }
  ProgramWeights output() const { return weights(bucket().tail, -1, false); }
  bool has_experts(std::int32_t layer) const;

 private:
  const ProgramBucket& bucket() const { return programs_.buckets.front(); }
  ProgramWeights weights(const Plan& plan, std::int32_t layer, bool shared) const;
  void add(OpMatrices& op, const WeightSlot& slot, std::int32_t layer) const;
  FileRange range_of(const WeightOrigin& origin) const;

  const Model& model_;
  Programs programs_;
  bool unified_;
};

}  // namespace strata
