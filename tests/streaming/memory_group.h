#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace strata::test {

/// A memory control group with a limit, below the one that this process is in; removed at the end,
/// when nobody is in it any more.
class MemoryGroup {
 public:
  explicit MemoryGroup(std::uint64_t bytes);
  ~MemoryGroup();
  MemoryGroup(const MemoryGroup&) = delete;
  MemoryGroup& operator=(const MemoryGroup&) = delete;

  /// Why there is none; empty when there is one.
  const std::string& refusal() const { return refusal_; }
  /// Puts the calling process into it; false when the system refuses.
  bool enter() const;

 private:
  std::filesystem::path folder_;
  std::string refusal_;
};

}  // namespace strata::test
