#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/core/weight_source.h"
#include "runtime/graph/expert_routes.h"
#include "runtime/graph/plan.h"

namespace strata {

/// Where one weight slot's bytes are served: the tensor's row blocks, in order. Matrices of one
/// shape are cut at the same rows.
struct WeightBinding {
  std::vector<BlockId> blocks;
  /// At least 0: the experts of this matrix come through the ExpertSource, which knows the launch
  /// that multiplies it by this number. It has no blocks then.
  std::int32_t expert_launch = -1;
};

/// Everything that a plan needs to run for one layer. Borrowed for the time of the call.
struct Bindings {
  TensorView input;                        ///< (tokens, dim); empty if the plan has none
  TensorView output;                       ///< capacity shape
  std::span<const WeightBinding> weights;  ///< by weight slot
  std::span<const TensorView> states;      ///< by state slot
  TensorView step;                         ///< the StepState block on the device
};

/// The weight slots that the plan's launches of experts multiply: gate and up together, or one.
std::vector<std::vector<std::int32_t>> expert_launches(const Plan& plan);

/// Live sizes of a step, at most the plan's capacity.
struct StepExtent {
  std::int32_t tokens = 0;
  std::int32_t wanted_rows = 0;
};

/// One op's time on the stream, for profiles.
struct OpSample {
  OpKind kind;
  std::int32_t layer;
  std::int64_t begin_ns;  ///< steady clock
  std::int64_t end_ns;
};

/// Runs plans on one stream, taking and returning weight leases between launches: at most one block
/// of each of an op's matrices at a time, and its small weights. Allocates nothing unless tracing.
/// Used by one thread; `arena` holds the largest plan's arena_bytes.
class Executor {
 public:
  Executor(Stream& stream, WeightSource& source, BufferSpan arena)
      : stream_(stream), source_(source), arena_(arena) {}

  void run(const Plan& plan, const Bindings& bindings, const StepExtent& extent);

  /// Where plans get the experts from that are bound by launch, and the executor's memory for their
  /// routes. A step then waits for the device once per layer of such experts: it cannot be
  /// recorded.
  void use_experts(ExpertSource& source, ExpertRoutes routes, std::int64_t experts);

  /// Appends a sample per op to `trace` until set to null; `layer` labels the samples.
  void set_trace(std::vector<OpSample>* trace) { trace_ = trace; }
  void set_layer(std::int32_t layer) { layer_ = layer; }

 private:
  struct NodeViews;
  TensorView view_of(const Plan& plan, const Bindings& bindings, const StepExtent& extent,
                     std::int32_t id) const;
  void run_node(const Plan& plan, const PlannedNode& node, const Bindings& bindings,
                const StepExtent& extent);
  void run_blocks(const PlannedNode& node, const Plan& plan, const Bindings& bindings,
                  NodeViews& views);
  void run_experts(const PlannedNode& node, std::uint32_t launch_number, NodeViews& views);
  static void cut_columns(const NodeViews& whole, NodeViews& views, const MatmulWeight& matrix,
                          std::int64_t first_row);
  void launch(const PlannedNode& node, const NodeViews& views);
  void release(std::span<const Lease> leases);

  Stream& stream_;
  WeightSource& source_;
  BufferSpan arena_;
  ExpertSource* experts_ = nullptr;
  ExpertRoutes routes_;
  std::int32_t routed_ = -1;  // the value of this run whose routes are fetched
  std::vector<std::int32_t> wanted_;
  std::vector<std::int32_t> slots_;
  std::vector<OpSample>* trace_ = nullptr;
  std::int32_t layer_ = -1;
};

}  // namespace strata
