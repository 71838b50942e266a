#pragma once

#include <cstdint>
#include <optional>

namespace strata {

/// An unsigned 64-bit number from untrusted data. Arithmetic that would wrap makes it invalid, and
/// an invalid operand stays invalid, so a whole formula is checked once, at its end, by value().
/// There is no implicit way back to a plain integer.
class Checked {
 public:
  constexpr Checked() = default;
  constexpr explicit Checked(std::uint64_t value) : value_(value), valid_(true) {}

  constexpr bool valid() const { return valid_; }
  /// The number, or empty if any step wrapped.
  constexpr std::optional<std::uint64_t> value() const {
    return valid_ ? std::optional(value_) : std::nullopt;
  }
  /// True when valid and at most `limit`.
  constexpr bool at_most(std::uint64_t limit) const { return valid_ && value_ <= limit; }

  friend constexpr Checked operator+(Checked a, Checked b) {
    std::uint64_t r = 0;
    const bool wraps = __builtin_add_overflow(a.value_, b.value_, &r);
    return make(!wraps, r, a, b);
  }
  friend constexpr Checked operator-(Checked a, Checked b) {
    std::uint64_t r = 0;
    const bool wraps = __builtin_sub_overflow(a.value_, b.value_, &r);
    return make(!wraps, r, a, b);
  }
  friend constexpr Checked operator*(Checked a, Checked b) {
    std::uint64_t r = 0;
    const bool wraps = __builtin_mul_overflow(a.value_, b.value_, &r);
    return make(!wraps, r, a, b);
  }
  friend constexpr Checked operator+(Checked a, std::uint64_t b) { return a + Checked(b); }
  friend constexpr Checked operator-(Checked a, std::uint64_t b) { return a - Checked(b); }
  friend constexpr Checked operator*(Checked a, std::uint64_t b) { return a * Checked(b); }

  /// Exact division; a remainder or a zero divisor makes the result invalid.
  constexpr Checked divided_exactly_by(std::uint64_t divisor) const {
    if (!valid_ || divisor == 0 || value_ % divisor != 0) return {};
    return Checked(value_ / divisor);
  }
  /// Rounded up to a multiple of `alignment`, which is a power of two.
  constexpr Checked aligned_to(std::uint64_t alignment) const {
    Checked r = *this + (alignment - 1);
    if (r.valid_) r.value_ &= ~(alignment - 1);
    return r;
  }

 private:
  static constexpr Checked make(bool fits, std::uint64_t r, Checked a, Checked b) {
    return fits && a.valid_ && b.valid_ ? Checked(r) : Checked();
  }
  std::uint64_t value_ = 0;
  bool valid_ = false;
};

}  // namespace strata
