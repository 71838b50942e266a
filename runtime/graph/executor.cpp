#include "runtime/graph/executor.h"

#include <array>
#include <chrono>
#include <string>

#include "runtime/core/error.h"

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
  if (view.data == nullptr || view.columns() == count) return view;
  if (view.layout != Layout::rows)
    throw Error(ErrorCode::runtime, "plan",
                "a matrix in row blocks has a " + std::string(layout_name(view.layout)) +
                    " result: it was planned for whole matrices");
  view.data += first * static_cast<std::int64_t>(sizeof(float));
  view.shape[view.shape.rank - 1] = count;
  return view;
}

const WeightBinding& binding_of(const Plan& plan, const Bindings& bindings, std::int32_t id) {
  const PlannedValue& value = plan.values[static_cast<std::size_t>(id)];
  return bindings.weights[static_cast<std::size_t>(value.slot)];
}

bool multiplies_experts(OpKind kind) {
  return kind == OpKind::LinearExperts || kind == OpKind::LinearExpertsGated;
}

// The number under which an ExpertSource knows this launch; < 0: its experts are not streamed.
std::int32_t expert_launch_of(const Plan& plan, const Bindings& bindings, const PlannedNode& node) {
  const OpKind kind = node.op.desc.kind();
  if (!multiplies_experts(kind)) return -1;
  const auto weight = static_cast<std::size_t>(matmul_weights(kind)[0].weight);
  return binding_of(plan, bindings, node.in[weight]).expert_launch;
}

}  // namespace

std::vector<std::vector<std::int32_t>> expert_launches(const Plan& plan) {
  std::vector<std::vector<std::int32_t>> launches;
  for (const PlannedNode& node : plan.nodes) {
    if (!multiplies_experts(node.op.desc.kind())) continue;
    std::vector<std::int32_t>& slots = launches.emplace_back();
    for (const MatmulWeight& matrix : matmul_weights(node.op.desc.kind())) {
      const std::int32_t id = node.in[static_cast<std::size_t>(matrix.weight)];
      slots.push_back(plan.values[static_cast<std::size_t>(id)].slot);
    }
  }
  return launches;
}

struct Executor::NodeViews {
  std::array<TensorView, kMaxOperands> in;
  std::array<TensorView, kMaxOperands> inout;
  std::array<TensorView, kMaxOperands> out;
  Workspace workspace;
};

// The columns of the output, the bias and the residual that belong to a row block of `matrix`.
void Executor::cut_columns(const NodeViews& whole, NodeViews& views, const MatmulWeight& matrix,
                           std::int64_t first_row) {
  const TensorView& w = views.in[static_cast<std::size_t>(matrix.weight)];
  const std::int64_t columns = w.shape[w.shape.rank - 2];
  const auto out = static_cast<std::size_t>(matrix.out);
  views.out[out] = column_slice(whole.out[out], first_row, columns);
  for (const int operand : {matrix.bias, matrix.residual}) {
    if (operand < 0) continue;
    const auto at = static_cast<std::size_t>(operand);
    views.in[at] = column_slice(whole.in[at], first_row, columns);
  }
}

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

// One launch per row block. The matrices of an op may be cut into different numbers of blocks: one
// that has no more is an empty view, and so is its output.
void Executor::run_blocks(const PlannedNode& node, const Plan& plan, const Bindings& bindings,
                          NodeViews& views) {
  const NodeViews whole = views;
  for (std::size_t block = 0;; ++block) {
    std::array<Lease, kMaxOperands> leases;
    std::size_t held = 0;
    for (const MatmulWeight& matrix : matmul_weights(node.op.desc.kind())) {
      const auto at = static_cast<std::size_t>(matrix.weight);
      if (node.in[at] < 0) continue;
      const WeightBinding& binding = binding_of(plan, bindings, node.in[at]);
      views.in[at] = {};
      if (block < binding.blocks.size()) {
        leases[held] = source_.acquire(binding.blocks[block], stream_);
        views.in[at] = leases[held].view;
        cut_columns(whole, views, matrix, leases[held++].first_row);
      } else {
        views.out[static_cast<std::size_t>(matrix.out)] = {};
      }
    }
    if (held == 0) return;
    launch(node, views);
    release({leases.data(), held});
  }
}

void Executor::use_experts(ExpertSource& source, ExpertRoutes routes, std::int64_t experts) {
  experts_ = &source;
  routes_ = std::move(routes);
  wanted_.reserve(static_cast<std::size_t>(experts));
  slots_.reserve(static_cast<std::size_t>(experts));
}

// One launch per set of experts that are on the device together. A launch writes the rows of its
// own experts' routes only, so that after the last one all rows are there, each made by one launch
// of the same kernel: the bits are those of a single one.
void Executor::run_experts(const PlannedNode& node, std::uint32_t launch_number, NodeViews& views) {
  const std::size_t order = node.in.size() - 1;
  const std::size_t offsets = order - 1;
  if (routed_ != node.in[offsets]) {
    routes_.fetch(stream_, views.in[offsets], views.in[order]);
    routed_ = node.in[offsets];
  }
  const std::span<const std::int32_t> routed = routes_.experts();
  wanted_.assign(routed.begin(), routed.end());
  while (!wanted_.empty()) {
    slots_.assign(wanted_.size(), -1);
    const ExpertLease lease = experts_->acquire(launch_number, wanted_, slots_, stream_);
    std::size_t next = 0;
    for (const MatmulWeight& matrix : matmul_weights(node.op.desc.kind()))
      views.in[static_cast<std::size_t>(matrix.weight)] = lease.matrices[next++];
    const ExpertRoutes::Tables tables = routes_.upload(stream_, wanted_, slots_);
    views.in[offsets] = tables.offsets;
    views.in[order] = tables.order;
    launch(node, views);
    experts_->release(lease, stream_.record());
    std::size_t left = 0;
    for (std::size_t i = 0; i < wanted_.size(); ++i)
      if (slots_[i] < 0) wanted_[left++] = wanted_[i];
    wanted_.resize(left);
  }
}

void Executor::release(std::span<const Lease> leases) {
  const Event done = stream_.record();
  for (const Lease& lease : leases) source_.release(lease, done);
}

void Executor::run_node(const Plan& plan, const PlannedNode& node, const Bindings& bindings,
                        const StepExtent& extent) {
  const OpKind kind = node.op.desc.kind();
  NodeViews views;
  views.workspace = {arena_.data + node.workspace_offset, node.op.workspace_bytes};
  std::array<Lease, kMaxOperands> leases;
  std::size_t held = 0;
  for (std::size_t i = 0; i < node.in.size(); ++i) {
    views.in[i] = view_of(plan, bindings, extent, node.in[i]);
    if (node.in[i] < 0) continue;
    const PlannedValue& value = plan.values[static_cast<std::size_t>(node.in[i])];
    if (value.kind != ValueKind::weight || is_matmul_weight(kind, i)) continue;
    leases[held] = source_.acquire(binding_of(plan, bindings, node.in[i]).blocks[0], stream_);
    views.in[i] = leases[held++].view;
  }
  for (std::size_t i = 0; i < node.inout.size(); ++i)
    views.inout[i] = view_of(plan, bindings, extent, node.inout[i]);
  for (std::size_t i = 0; i < node.out.size(); ++i)
    views.out[i] = view_of(plan, bindings, extent, node.out[i]);
  const std::int32_t experts = expert_launch_of(plan, bindings, node);
  if (experts >= 0)
    run_experts(node, static_cast<std::uint32_t>(experts), views);
  else if (matmul_weights(kind).empty())
    launch(node, views);
  else
    run_blocks(node, plan, bindings, views);
  if (held > 0) release({leases.data(), held});
}

void Executor::run(const Plan& plan, const Bindings& bindings, const StepExtent& extent) {
  routed_ = -1;
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
