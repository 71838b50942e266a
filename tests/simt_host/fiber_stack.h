#pragma once

#include <cstddef>

namespace strata::simt_host {

/// A mapped stack with a page below it that traps, so that an overflow is seen.
class FiberStack {
 public:
  FiberStack();
  FiberStack(const FiberStack&) = delete;
  FiberStack& operator=(const FiberStack&) = delete;
  ~FiberStack();

  std::byte* bottom() const;
  static std::size_t bytes();
  std::byte* top() const { return bottom() + bytes(); }

 private:
  std::byte* mapping_;
};

}  // namespace strata::simt_host
