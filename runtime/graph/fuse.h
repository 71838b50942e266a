#pragma once

#include "runtime/graph/graph.h"

namespace strata {

class Device;

/// Puts fused ops of ops.def in the place of the primitives that they stand for, where the device
/// supports them. An activation that something else reads is never fused away. Runs on a graph of
/// primitives, before settle_layouts; results keep their bits. `whole_matrices`: no matrix comes in
/// row blocks (PlanOptions), so that ops may be made that need whole rows of a product.
void fuse(Graph& graph, Device& device, bool whole_matrices = false);

}  // namespace strata
