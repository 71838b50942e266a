#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <vector>

namespace strata::sim {

/// Ranges of memory that fault when they are touched, in whole pages: those within a range that is
/// poisoned, those that touch a range that is cured. For the one thread that uses the device.
class PoisonedRanges {
 public:
  /// Nobody may touch the range from now on. Throws Error{runtime} when the system refuses, which
  /// keeps a limited number of ranges.
  void poison(std::span<std::byte> range);
  /// The range may be used again.
  void cure(std::span<std::byte> range);
  /// Memory that is given back is nobody's matter any more.
  void forget(std::span<std::byte> range);
  bool poisoned(std::span<std::byte> range) const;

  /// Opens what is poisoned of a range while it lives, as a copy engine writes to memory that no
  /// kernel may read yet.
  class Opened {
   public:
    Opened(const PoisonedRanges& ranges, std::span<std::byte> range);
    Opened(const Opened&) = delete;
    Opened& operator=(const Opened&) = delete;
    ~Opened();

   private:
    std::vector<std::span<std::byte>> pieces_;
  };

 private:
  /// What is poisoned of a range, piece by piece.
  std::vector<std::span<std::byte>> within(std::span<std::byte> range) const;

  std::map<std::byte*, std::size_t> ranges_;  ///< by first byte: bytes; disjoint, whole pages
};

}  // namespace strata::sim
