#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "runtime/graph/plan.h"
#include "runtime/models/model.h"

namespace strata {

/// What fixes the shape of a model's programs on a device.
struct ProgramOptions {
  KvFormat kv;
  std::int32_t max_tokens = 512;  ///< most tokens of a step (--ubatch-size)
  bool pack_weights = true;
  bool fuse = true;  ///< false: primitives only (tests)
};

/// Something for each LayerPart.
template <class T>
struct ByLayerPart {
  std::array<T, 3> parts;
  T& operator[](LayerPart part) { return parts[static_cast<std::size_t>(part)]; }
  const T& operator[](LayerPart part) const { return parts[static_cast<std::size_t>(part)]; }
};
constexpr LayerPart kLayerParts[] = {LayerPart::whole, LayerPart::attention,
                                     LayerPart::feed_forward};

/// Which of a model's programs a device needs.
struct ProgramPart {
  ByLayerPart<std::vector<std::int32_t>> layers;
  bool head = true;
  bool tail = true;
  bool file_layout = false;     ///< weights as the file has them, even where pack_weights is set
  bool whole_matrices = false;  ///< as PlanOptions has it
};

/// A model's programs for steps of at most `tokens` tokens.
struct ProgramBucket {
  std::int32_t tokens = 0;
  Plan head;
  /// One per Model::kinds(); without nodes where no such part of a layer of it is wanted.
  ByLayerPart<std::vector<Plan>> layers;
  Plan tail;
};

/// All programs of a model on one device, planned once. The smallest bucket that holds a step runs
/// it. Nothing is allocated on the device and no weight is touched.
struct Programs {
  std::vector<ProgramBucket> buckets;  ///< ascending
  std::size_t arena_bytes = 0;         ///< the largest plan's need

  const ProgramBucket& bucket_for(std::int32_t tokens) const;
};

/// The programs of a part, or of the whole model. Throws Error{unsupported_op} when the device
/// lacks an op, dtype or layout.
Programs plan_programs(const Model& model, Device& device, const ProgramOptions& options,
                       const ProgramPart& part);
Programs plan_programs(const Model& model, Device& device, const ProgramOptions& options);

}  // namespace strata
