#pragma once

#include <cstdint>
#include <vector>

#include "runtime/graph/graph.h"
#include "runtime/ops/op_impl.h"

namespace strata {

/// What the planner may do.
struct PlanOptions {
  bool pack_weights = true;  ///< false: compute every weight from the file's own layout
  bool fuse = true;          ///< false: primitives only (tests; the bits are the same)
  /// Matrices are not cut into row blocks, so that what a matmul makes may be written quantized,
  /// and normed.
  bool whole_matrices = false;
};

/// A node with its kernel resolved. Operands are indices into Plan::values; -1 = absent.
struct PlannedNode {
  PreparedOp op;
  std::vector<std::int32_t> in;
  std::vector<std::int32_t> inout;
  std::vector<std::int32_t> out;
  std::size_t workspace_offset = 0;  ///< into the arena
};

struct PlannedValue {
  ValueKind kind = ValueKind::activation;
  TensorDesc desc;
  RowCount rows;
  std::int32_t slot = -1;
  std::size_t offset = 0;  ///< into the arena, for activations
};

/// A graph made ready for one device and token capacity: kernels chosen, layouts settled, one
/// shared quantize in front of all matmuls that want the same activation, arena laid out.
/// Immutable; running it allocates nothing. Valid as long as the Device that made it.
struct Plan {
  std::vector<PlannedNode> nodes;
  std::vector<PlannedValue> values;
  std::vector<WeightSlot> weights;  ///< with the layout that the kernels want
  std::vector<std::string> states;
  std::size_t arena_bytes = 0;  ///< activations and workspaces
};

/// Throws Error{unsupported_op} naming op, dtypes and device when the device lacks something.
Plan make_plan(Graph graph, Device& device, const PlanOptions& options);

}  // namespace strata
