#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "runtime/weights/model_file.h"

namespace strata {

/// Called now and then with bytes done and bytes in all. May throw to stop the work.
using ByteProgress = std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)>;

/// 128 bits that tell whether two nodes have the same weights. Not cryptographic: it guards against
/// damage and mix-ups, not against a forger.
struct Digest {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend bool operator==(const Digest&, const Digest&) = default;
};

/// 32 lower-case hexadecimal digits.
std::string to_string(const Digest& digest);

/// XXH3-128 over all tensors in the order of their names: name, type, dimensions and bytes of each.
/// A split set and the single file of the same model agree; metadata does not count. Reads every
/// byte of the weights.
Digest tensor_digest(const ModelFile& file, const ByteProgress& progress = {});

}  // namespace strata
