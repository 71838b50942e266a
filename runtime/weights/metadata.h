#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/weights/name_index.h"

namespace strata {

/// Types of metadata values, with GGUF's numbers.
enum class ValueType : std::uint32_t {
  u8 = 0,
  i8 = 1,
  u16 = 2,
  i16 = 3,
  u32 = 4,
  i32 = 5,
  f32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  u64 = 10,
  i64 = 11,
  f64 = 12,
};

/// "u32", "string", "array"; the number itself for a type that does not exist.
std::string value_type_name(ValueType type);
/// Bytes of one value of a number or bool; 0 for string, array and unknown types.
std::size_t value_type_bytes(ValueType type);

/// A metadata value: a scalar, a string, or a list of one scalar type or of strings. The bytes stay
/// in the file; only lists of strings hold a view (16 bytes) per string.
struct MetadataValue {
  ValueType type = ValueType::u8;
  ValueType element = ValueType::u8;      ///< lists only
  std::span<const std::byte> raw;         ///< of a scalar, a string or a list of scalars
  std::vector<std::string_view> strings;  ///< of a list of strings

  bool is_array() const { return type == ValueType::array; }
  /// Elements of a list; 1 for anything else.
  std::uint64_t count() const;
  /// Text of a string value.
  std::string_view text() const { return {reinterpret_cast<const char*>(raw.data()), raw.size()}; }
  /// "u32", "array of string"
  std::string type_name() const;
  /// The value for people: numbers as such, strings in quotes, lists as "[a, b, ... 3 more]" with
  /// at most `items` elements and `text_bytes` bytes per string.
  std::string to_text(std::size_t items = 4, std::size_t text_bytes = 60) const;
};

struct MetadataEntry {
  std::string_view key;
  MetadataValue value;
};

/// A model file's key/value pairs in file order, found by key in constant time. The getters check
/// type and range and throw Error(bad_model) naming the file, key, type found, type wanted, value
/// and limits; find_* return empty when the key is absent, require_* throw. Integer getters take
/// any integer type whose value fits, float getters take f32 and f64. Borrows the file's bytes:
/// valid as long as the ModelFile. Const use is thread-safe.
class Metadata {
 public:
  /// `file` is the subject of error messages.
  explicit Metadata(std::string file = "model", std::size_t expected_count = 0);

  /// Appends; false, and nothing added, when the key is already there.
  bool add(std::string_view key, MetadataValue value);

  const std::string& file() const { return file_; }
  std::span<const MetadataEntry> entries() const { return entries_; }
  std::size_t size() const { return entries_.size(); }
  bool contains(std::string_view key) const { return find(key) != nullptr; }
  const MetadataValue* find(std::string_view key) const;
  const MetadataValue& require(std::string_view key) const;

  template <class T>
  static constexpr T kLeast = std::numeric_limits<T>::lowest();
  template <class T>
  static constexpr T kMost = std::numeric_limits<T>::max();
  template <class T>
  using Maybe = std::optional<T>;

  Maybe<std::uint32_t> find_u32(std::string_view key, std::uint32_t min = 0,
                                std::uint32_t max = kMost<std::uint32_t>) const;
  Maybe<std::uint64_t> find_u64(std::string_view key, std::uint64_t min = 0,
                                std::uint64_t max = kMost<std::uint64_t>) const;
  Maybe<std::int64_t> find_i64(std::string_view key, std::int64_t min = kLeast<std::int64_t>,
                               std::int64_t max = kMost<std::int64_t>) const;
  /// NaN and infinities are out of every range.
  Maybe<float> find_f32(std::string_view key, float min = kLeast<float>,
                        float max = kMost<float>) const;
  Maybe<double> find_f64(std::string_view key, double min = kLeast<double>,
                         double max = kMost<double>) const;
  Maybe<bool> find_bool(std::string_view key) const;
  Maybe<std::string_view> find_string(std::string_view key) const;

  std::uint32_t require_u32(std::string_view key, std::uint32_t min = 0,
                            std::uint32_t max = kMost<std::uint32_t>) const;
  std::uint64_t require_u64(std::string_view key, std::uint64_t min = 0,
                            std::uint64_t max = kMost<std::uint64_t>) const;
  float require_f32(std::string_view key, float min = kLeast<float>,
                    float max = kMost<float>) const;
  bool require_bool(std::string_view key) const;
  std::string_view require_string(std::string_view key) const;

  /// Lists, copied into numbers of one type; every element is range-checked. Bools for find_bools.
  Maybe<std::vector<std::int32_t>> find_i32_array(std::string_view key,
                                                  std::int32_t min = kLeast<std::int32_t>,
                                                  std::int32_t max = kMost<std::int32_t>) const;
  Maybe<std::vector<float>> find_f32_array(std::string_view key) const;
  Maybe<std::vector<bool>> find_bool_array(std::string_view key) const;
  /// Borrowed from the file, nothing is copied.
  Maybe<std::span<const std::string_view>> find_string_array(std::string_view key) const;
  /// A value per layer: a single integer counts for all `count` layers, a list must have exactly
  /// `count` elements.
  Maybe<std::vector<std::uint32_t>> find_u32_per_layer(
      std::string_view key, std::size_t count, std::uint32_t min = 0,
      std::uint32_t max = kMost<std::uint32_t>) const;

  /// For checks that a caller makes itself: throws Error(bad_model) about `key`.
  [[noreturn]] void fail(std::string_view key, const std::string& detail,
                         std::string hint = {}) const;

 private:
  [[noreturn]] void fail_missing(std::string_view key) const;
  [[noreturn]] void fail_type(std::string_view key, const MetadataValue& value,
                              std::string_view wanted) const;

  std::string file_;
  std::vector<MetadataEntry> entries_;
  NameIndex index_;
};

}  // namespace strata
