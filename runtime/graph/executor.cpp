#include "runtime/graph/executor.h"

#include <array>
#include <chrono>

namespace strata {
namespace {

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::int64_t live_rows(const PlannedValue& value, const StepExtent& extent) {
  switch (value.rows.kind) {
    case RowKind::tokens:
      return std::int64_t{extent.tokens} * value.rows.per;
    case RowKind::wanted:
      return std::int64_t{extent.wanted_rows} * value.rows.per;
    case RowKind::fixed:
      break;
  }
  return value.desc.shape[0];
}

// Columns [first, first + count) of a row-major f32 view.
TensorView column_slice(TensorView view, std::int64_t first, std::int64_t count) {
  if (view.data == nullptr) return view;
  view.data += first * static_cast<std::int64_t>(sizeof(float));
  view.shape[view.shape.rank - 1] = count;
  return view;
}

}  // namespace

struct Executor::NodeViews {
  std::array<TensorView, kMaxOperands> in;
  std::array<TensorView, kMaxOperands> inout;
  std::array<TensorView, kMaxOperands> out;
  Workspace workspace;
};

TensorView Executor::view_of(const Plan& plan, const Bindings& bindings, const StepExtent& extent,
                             std::int32_t id) const {
  if (id < 0) return {};
  const PlannedValue& value = plan.values[static_cast<std::size_t>(id)];
  TensorView view;
  switch (value.kind) {
    case ValueKind::weight:
      return {};  // filled in from leases
    case ValueKind::state:
      return bindings.states[static_cast<std::size_t>(value.slot)];
    case ValueKind::step:
      return bindings.step;
    case ValueKind::input:
      view = bindings.input;
      break;
    case ValueKind::output:
      view = bindings.output;
      break;
    case ValueKind::activation:
      view = dense_view(arena_.data + value.offset, value.desc);
      break;
  }
  view.shape[0] = live_rows(value, extent);
  return view;
}

void Executor::launch(const PlannedNode& node, const NodeViews& views) {
  const Operands operands{{views.in.data(), node.in.size()},
                          {views.inout.data(), node.inout.size()},
                          {views.out.data(), node.out.size()}};
  node.op.run(stream_, node.op, operands, views.workspace);
}

// One launch per row block of the weight; the outputs and the bias are the block's columns.
void Executor::run_blocks(const PlannedNode& node, const WeightBinding& binding,
                          std::size_t operand, NodeViews& views) {
  const NodeViews whole = views;
  for (const BlockId& block : binding.blocks) {
    const Lease lease = source_.acquire(block, stream_);
    views.in[operand] = lease.view;
    if (binding.blocks.size() > 1) {
      const std::int64_t rows = lease.view.rows();
      views.out[0] = column_slice(whole.out[0], lease.first_row, rows);
      views.in[2] = column_slice(whole.in[2], lease.first_row, rows);
    }
    launch(node, views);
    source_.release(lease, stream_.record());
  }
}

void Executor::run_node(const Plan& plan, const PlannedNode& node, const Bindings& bindings,
                        const StepExtent& extent) {
  NodeViews views;
  views.workspace = {arena_.data + node.workspace_offset, node.op.workspace_bytes};
  std::array<Lease, kMaxOperands> leases;
  std::size_t held = 0;
  std::size_t blocked = kMaxOperands;  // the operand that arrives in row blocks: a matmul's weight
  const bool matmul = node.op.desc.kind() == OpKind::Linear;
  for (std::size_t i = 0; i < node.in.size(); ++i) {
    views.in[i] = view_of(plan, bindings, extent, node.in[i]);
    if (node.in[i] < 0) continue;
    const PlannedValue& value = plan.values[static_cast<std::size_t>(node.in[i])];
    if (value.kind != ValueKind::weight) continue;
    if (matmul && i == 1) {
      blocked = i;
      continue;
    }
    const WeightBinding& binding = bindings.weights[static_cast<std::size_t>(value.slot)];
    leases[held] = source_.acquire(binding.blocks[0], stream_);
    views.in[i] = leases[held++].view;
  }
  for (std::size_t i = 0; i < node.inout.size(); ++i)
    views.inout[i] = view_of(plan, bindings, extent, node.inout[i]);
  for (std::size_t i = 0; i < node.out.size(); ++i)
    views.out[i] = view_of(plan, bindings, extent, node.out[i]);
  if (blocked < kMaxOperands) {
    const PlannedValue& value = plan.values[static_cast<std::size_t>(node.in[blocked])];
    run_blocks(node, bindings.weights[static_cast<std::size_t>(value.slot)], blocked, views);
  } else {
    launch(node, views);
  }
  if (held == 0) return;
  const Event done = stream_.record();
  for (std::size_t i = 0; i < held; ++i) source_.release(leases[i], done);
}

void Executor::run(const Plan& plan, const Bindings& bindings, const StepExtent& extent) {
  for (const PlannedNode& node : plan.nodes) {
    if (trace_ == nullptr) {
      run_node(plan, node, bindings, extent);
      continue;
    }
    const std::int64_t begin = now_ns();
    run_node(plan, node, bindings, extent);
    stream_.synchronize();
    trace_->push_back({node.op.desc.kind(), layer_, begin, now_ns()});
  }
}

}  // namespace strata
