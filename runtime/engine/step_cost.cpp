#include "runtime/engine/step_cost.h"

#include <algorithm>

namespace strata {
namespace {

MatmulPath path_of(Layout activations) {
  if (activations == Layout::quantized) return MatmulPath::int8;
  return activations == Layout::rounded ? MatmulPath::bf16 : MatmulPath::f32;
}

// What the op reads of its weights: its cost less its activations.
double weight_bytes(const Plan& plan, const PlannedNode& node, std::uint64_t bytes_read) {
  std::uint64_t other = 0;
  for (std::size_t i = 0; i < node.in.size(); ++i) {
    if (node.in[i] < 0 || node.op.desc.in[i].shape.rank == 0) continue;
    if (plan.values[static_cast<std::size_t>(node.in[i])].kind != ValueKind::weight)
      other += byte_size(node.op.desc.in[i]);
  }
  return bytes_read > other ? static_cast<double>(bytes_read - other) : 0.0;
}

StepCost node_cost(const Plan& plan, const PlannedNode& node, std::int64_t kv_tokens) {
  StepCost cost;
  const OpDesc& desc = node.op.desc;
  if (desc.kind() == OpKind::Embed || desc.kind() == OpKind::GatherRows) return cost;
  if (desc.kind() == OpKind::Attention || desc.kind() == OpKind::RopeAttention) {
    // A cache without tokens leaves the queries, and what is appended.
    const OpCost full = op_cost(desc, kv_tokens);
    cost.kv_bytes = static_cast<double>(full.bytes_read - op_cost(desc, 0).bytes_read);
    cost.flops = static_cast<double>(full.flops);
    return cost;
  }
  const OpCost full = op_cost(desc, kv_tokens);
  cost.weight_bytes = weight_bytes(plan, node, full.bytes_read);
  if (matmul_weights(desc.kind()).empty()) return cost;
  cost.flops = static_cast<double>(full.flops);
  cost.path_flops[static_cast<std::size_t>(path_of(desc.in[0].layout))] = cost.flops;
  return cost;
}

StepCost plan_cost(const Plan& plan, std::int64_t kv_tokens) {
  StepCost cost;
  for (const PlannedNode& node : plan.nodes) cost += node_cost(plan, node, kv_tokens);
  return cost;
}

}  // namespace

MatmulPath StepCost::path() const {
  return static_cast<MatmulPath>(std::max_element(std::begin(path_flops), std::end(path_flops)) -
                                 std::begin(path_flops));
}

StepCost& StepCost::operator+=(const StepCost& other) {
  weight_bytes += other.weight_bytes;
  kv_bytes += other.kv_bytes;
  flops += other.flops;
  for (std::size_t i = 0; i < std::size(path_flops); ++i) path_flops[i] += other.path_flops[i];
  return *this;
}

// The Runner's buckets hold more tokens than a step may have: here the capacity is the step.
const Programs& StepCosts::programs(std::int32_t tokens) {
  const auto found = programs_.find(tokens);
  if (found != programs_.end()) return found->second;
  ProgramOptions options = options_;
  options.max_tokens = tokens;
  return programs_.emplace(tokens, plan_programs(model_, device_, options)).first->second;
}

StepCost StepCosts::step(std::int32_t tokens, std::int64_t first, int wanted) {
  // Token i of the step sees first + i + 1: on average half of the step.
  const std::int64_t kv_tokens = first + (tokens + 1) / 2;
  const ProgramBucket& bucket = programs(tokens).buckets.back();
  StepCost cost = plan_cost(bucket.head, kv_tokens);
  const std::vector<Plan>& layers = bucket.layers[LayerPart::whole];
  for (std::size_t kind = 0; kind < layers.size(); ++kind) {
    const StepCost layer = plan_cost(layers[kind], kv_tokens);
    for (std::size_t i = 0; i < model_.kinds()[kind].layers.size(); ++i) cost += layer;
  }
  if (wanted > 0) cost += plan_cost(programs(1).buckets.back().tail, kv_tokens);
  return cost;
}

}  // namespace strata
