#pragma once

#include "backends/vulkan/ops/matmul.h"

namespace strata::vulkan {

/// What linear_experts and linear_experts_gated share: routes are found on the device.

/// The operands of one run; `up` is null without a gate.
struct ExpertsOperands {
  const TensorView& x;
  const TensorView& w;
  const TensorView* up;
  const TensorView& offsets;
  const TensorView& order;
  const TensorView& out;
  std::int32_t used;
  bool shared_input;
};

bool experts_support(const OpDesc& op);

/// The op with its kernel and workspace, for `run`; `used` of the attributes.
PreparedOp prepare_experts(Device& device, const OpDesc& op, OpRun run, std::int32_t used,
                           bool gated);

void run_experts(Stream& stream, const PreparedOp& op, const ExpertsOperands& operands,
                 Workspace workspace);

}  // namespace strata::vulkan
