#pragma once

#include <functional>
#include <span>

#include "runtime/core/device.h"
#include "runtime/models/model.h"

namespace strata {

/// A weight to bring into a device's memory at `to`, in `layout`.
struct WeightLoad {
  WeightOrigin origin;
  Layout layout = Layout::rows;
  std::byte* to = nullptr;
};

/// Counts file bytes.
using LoadProgress = std::function<void(std::uint64_t done, std::uint64_t total)>;

/// Copies or packs the weights piece by piece, in the order of the file, while the disk reads
/// ahead. A piece's pages leave the process when it is done, so that at no time much more memory is
/// in use than the weights take; whoever else reads them finds them in the system's cache. On a
/// device with memory of its own, what is packed goes through `scratch`, device memory that nobody
/// else uses meanwhile, in pieces that fit; more is only asked for where a single panel of rows, or
/// a single expert, does not. Throws Error{out_of_memory}.
void load_weights(std::span<const WeightLoad> loads, const ModelFile& file, Device& device,
                  Stream& stream, BufferSpan scratch, const LoadProgress& progress);

}  // namespace strata
