#pragma once

#include <cstddef>
#include <cstdint>

namespace strata::test {

/// Calls of operator new so far, in the whole program and on all threads. A program that uses this
/// header replaces operator new and delete by counting ones.
std::uint64_t allocation_count();

/// Counts what this program holds through operator new. Counting is always on; the numbers are for
/// the whole program, so measure on one thread at a time.
class AllocationPeak {
 public:
  AllocationPeak();
  /// Most bytes held at once since construction, above what was held then.
  std::size_t bytes() const;

 private:
  std::size_t start_;
};

}  // namespace strata::test
