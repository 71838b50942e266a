#pragma once

#include "backends/cpu/ops/matmul.h"

namespace strata::cpu {

/// A matmul with one matrix per expert, as linear_experts and linear_experts_gated run it.
struct ExpertsTask {
  const TensorView& x;
  const TensorView& w;    ///< (experts, n, k)
  const std::byte* w_up;  ///< null, or the address of a second one like w: gated pairs
  const TensorView& offsets;
  const TensorView& order;
  const TensorView& out;
  MatmulPath path;
  std::int32_t used;
  bool shared_input;
};

/// Workspace of run_experts beside that of its matmuls.
std::size_t experts_table_bytes(const TensorDesc& w);

/// One region for all experts that have routes: each one's weights are read once per batch.
void run_experts(CpuStream& stream, const ExpertsTask& experts, Workspace workspace);

}  // namespace strata::cpu
