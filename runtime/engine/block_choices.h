#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/engine/residency_units.h"
#include "runtime/streaming/residency.h"

namespace strata {

/// The ops with matrices that may stream, of each kind of layer, or half of one, that the device
/// computes, and of the output, in pieces of about so many bytes of the file (0: whole, where
/// memory is unified).
std::vector<OpMatrices> streaming_ops(const Model& model, const WeightReader& reader,
                                      std::uint64_t piece, const GivenToCpu& given);

/// Every way to cut these ops into units, the largest first, with the sizes of slots from the very
/// code that will make them. `file_layout`: each once more without packing, which takes less memory
/// and comes behind it.
std::vector<BlockChoice> block_choices(Device& device, std::span<const OpMatrices> ops,
                                       bool file_layout);

}  // namespace strata
