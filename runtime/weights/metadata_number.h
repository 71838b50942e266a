#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "runtime/weights/metadata.h"

namespace strata {

/// Holds every 64-bit integer, signed or not.
using WideInteger = __int128;

/// A scalar of any metadata type, widened without loss.
struct Number {
  enum class Kind : std::uint8_t { none, integer, real, boolean };
  Kind kind = Kind::none;
  WideInteger integer = 0;  ///< of an integer or bool
  double real = 0;

  bool integer_in(WideInteger min, WideInteger max) const {
    return kind == Kind::integer && integer >= min && integer <= max;
  }
};

/// The number at `bytes`, which has value_type_bytes(type) bytes and any alignment; Kind::none for
/// types that are no scalars.
Number read_number(ValueType type, const std::byte* bytes);

std::string to_string(const Number& number);

}  // namespace strata
