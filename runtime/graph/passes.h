#pragma once

#include "runtime/graph/graph.h"
#include "runtime/graph/plan.h"

namespace strata {

/// Asks the device's matmuls which layouts they want, gives their weight slots those layouts and
/// puts one shared `quantize` in front of all matmuls that want the same activation quantized or
/// rounded; what makes the activation writes it so itself where the device can (options.fuse).
void settle_layouts(Graph& graph, Device& device, const PlanOptions& options);

}  // namespace strata
