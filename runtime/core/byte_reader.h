#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

namespace strata {

static_assert(std::endian::native == std::endian::little, "file formats here are little-endian");

/// Reads untrusted little-endian bytes in order. Never reads past the end: a read that does not fit
/// returns empty and consumes nothing, and the caller names what is missing. Borrows the bytes.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::size_t offset() const { return offset_; }
  std::size_t remaining() const { return bytes_.size() - offset_; }

  /// The next sizeof(T) bytes as a number.
  template <class T>
    requires std::is_arithmetic_v<T>
  std::optional<T> read() {
    if (remaining() < sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, bytes_.data() + offset_, sizeof(T));
    offset_ += sizeof(T);
    return value;
  }

  /// The next `count` bytes, borrowed.
  std::optional<std::span<const std::byte>> read_bytes(std::uint64_t count) {
    if (count > remaining()) return std::nullopt;
    auto result = bytes_.subspan(offset_, static_cast<std::size_t>(count));
    offset_ += static_cast<std::size_t>(count);
    return result;
  }

  /// The next `count` bytes as text, borrowed; not checked to be UTF-8.
  std::optional<std::string_view> read_text(std::uint64_t count) {
    auto bytes = read_bytes(count);
    if (!bytes) return std::nullopt;
    return std::string_view(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  }

 private:
  std::span<const std::byte> bytes_;
  std::size_t offset_ = 0;
};

}  // namespace strata
