#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>

namespace strata {

/// One way to read a file at an offset; tests put a failing one in its place.
struct ReadSource {
  /// Bytes read or minus an error number, as DirectFile::read_at.
  std::int64_t (*attempt)(const void* context, std::byte* to, std::uint64_t bytes,
                          std::uint64_t offset) = nullptr;
  const void* context = nullptr;
  const std::filesystem::path* path = nullptr;  ///< for messages
  int descriptor = -1;                          ///< to ask for the file's size; -1 = do not ask
  std::uint64_t step = 1;  ///< offsets and sizes are multiples of this: 4096 past the page cache
};

struct ReadGoal {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;   ///< asked for
  std::uint64_t needed = 0;  ///< of those; what is asked beyond may lie behind the end of the file
};

/// Reads until `goal.needed` bytes have come. An attempt that brings nothing is made again three
/// times, counted in `retries`. Then Error(io): the file ended too early, with its size now; or the
/// disk failed, with the offset of the first 4 KiB that cannot be read, found by halving.
void read_carefully(const ReadSource& source, const ReadGoal& goal, std::byte* to,
                    std::atomic<std::uint64_t>& retries);

}  // namespace strata
