#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace strata::simt_host {

/// A block's dynamic shared memory: of exactly the asked size, aligned to 16 bytes and no more,
/// between guard zones that trap under AddressSanitizer and are compared without it.
class SharedArea {
 public:
  SharedArea() = default;
  SharedArea(const SharedArea&) = delete;
  SharedArea& operator=(const SharedArea&) = delete;
  ~SharedArea() { release(); }

  /// `bytes` bytes of garbage that `seed` chooses.
  std::byte* begin_block(std::size_t bytes, std::uint64_t seed);
  /// Whether nothing has been written to the guard zones since begin_block().
  bool guards_intact() const;
  void release();

 private:
  std::byte* start() const;
  std::vector<std::byte> memory_;
  std::size_t bytes_ = 0;
};

}  // namespace strata::simt_host
