#pragma once

#include <cstdint>
#include <vector>

namespace strata {

/// A run of bytes of a model file.
struct FileRange {
  std::uint32_t shard = 0;  ///< index into ModelFile::shards()
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

/// What one launch of an op reads: its pieces, in file bytes.
struct StreamUnit {
  std::vector<FileRange> parts;

  std::uint64_t bytes() const {
    std::uint64_t sum = 0;
    for (const FileRange& part : parts) sum += part.bytes;
    return sum;
  }
};

}  // namespace strata
