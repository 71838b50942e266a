#pragma once

#include <cstdint>
#include <map>

#include "runtime/engine/programs.h"

namespace strata {

/// How a matmul computes: named after its activations.
enum class MatmulPath : std::uint8_t { int8, bf16, f32 };

/// What a step reads from memory and computes, at the least: every weight once, in the layout that
/// the kernels read; of experts as many as have tokens; looked-up rows and activations, which
/// caches hold, are not counted.
struct StepCost {
  double weight_bytes = 0;
  double kv_bytes = 0;  ///< of the cache, read
  double flops = 0;     ///< of matmuls and attention (causal), a multiplication and an addition two
  double path_flops[3] = {};  ///< of matmuls, by MatmulPath

  double bytes() const { return weight_bytes + kv_bytes; }
  /// The path that most of the matmuls take.
  MatmulPath path() const;
  StepCost& operator+=(const StepCost& other);
};

/// Counts steps of one sequence, from the programs that the Runner would plan. Keeps the model and
/// the device by reference. For one thread.
class StepCosts {
 public:
  StepCosts(const Model& model, Device& device, const ProgramOptions& options)
      : model_(model), device_(device), options_(options) {}

  /// One step of `tokens` tokens from position `first` on, with the logits of `wanted` of them
  /// (0 or 1).
  StepCost step(std::int32_t tokens, std::int64_t first, int wanted);

 private:
  const Programs& programs(std::int32_t tokens);

  const Model& model_;
  Device& device_;
  ProgramOptions options_;
  std::map<std::int32_t, Programs> programs_;
};

}  // namespace strata
