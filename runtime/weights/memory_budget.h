#pragma once

#include <cstdint>

#include "runtime/core/checked.h"

namespace strata {

/// Bytes that a parser may allocate for one model, all shards together, whatever its headers say.
inline constexpr std::uint64_t kParserBudgetBytes = std::uint64_t{64} << 20;

/// Counts what a parser is about to allocate. Ask before each allocation.
class MemoryBudget {
 public:
  explicit MemoryBudget(std::uint64_t limit_bytes = kParserBudgetBytes) : limit_(limit_bytes) {}

  /// True, and counted, when `bytes` more still fit.
  [[nodiscard]] bool charge(Checked bytes) {
    const Checked total = bytes + used_;
    if (!total.at_most(limit_)) return false;
    used_ = *total.value();
    return true;
  }
  std::uint64_t limit() const { return limit_; }
  std::uint64_t used() const { return used_; }

 private:
  std::uint64_t limit_;
  std::uint64_t used_ = 0;
};

}  // namespace strata
