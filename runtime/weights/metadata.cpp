#include "runtime/weights/metadata.h"

#include <fmt/format.h>

#include <utility>

#include "runtime/core/error.h"
#include "runtime/weights/metadata_number.h"
#include "runtime/weights/printable.h"

namespace strata {
namespace {

Number scalar(const MetadataValue& value) { return read_number(value.type, value.raw.data()); }

Number element(const MetadataValue& list, std::uint64_t i) {
  return read_number(list.element, list.raw.data() + i * value_type_bytes(list.element));
}

bool is_integer(ValueType type) {
  switch (type) {
    case ValueType::u8:
    case ValueType::i8:
    case ValueType::u16:
    case ValueType::i16:
    case ValueType::u32:
    case ValueType::i32:
    case ValueType::u64:
    case ValueType::i64:
      return true;
    default:
      return false;
  }
}

bool is_real(ValueType type) { return type == ValueType::f32 || type == ValueType::f64; }

}  // namespace

Metadata::Metadata(std::string file, std::size_t expected_count)
    : file_(std::move(file)), index_(expected_count) {
  entries_.reserve(expected_count);
}

bool Metadata::add(std::string_view key, MetadataValue value) {
  const auto position = static_cast<std::uint32_t>(entries_.size());
  auto name_of = [this](std::uint32_t i) { return entries_[i].key; };
  if (index_.insert(key, position, name_of)) return false;
  entries_.push_back({key, std::move(value)});
  return true;
}

const MetadataValue* Metadata::find(std::string_view key) const {
  const auto found = index_.find(key, [this](std::uint32_t i) { return entries_[i].key; });
  return found ? &entries_[*found].value : nullptr;
}

const MetadataValue& Metadata::require(std::string_view key) const {
  const MetadataValue* value = find(key);
  if (!value) fail_missing(key);
  return *value;
}

void Metadata::fail(std::string_view key, const std::string& detail, std::string hint) const {
  throw Error(ErrorCode::bad_model, file_, fmt::format("key \"{}\" {}", printable(key), detail),
              std::move(hint));
}

void Metadata::fail_missing(std::string_view key) const {
  fail(key, "is missing", "the file is incomplete: convert or download the model again");
}

void Metadata::fail_type(std::string_view key, const MetadataValue& value,
                         std::string_view wanted) const {
  fail(key, fmt::format("is {} of type {}, wanted {}", value.to_text(), value.type_name(), wanted));
}

namespace {

std::string range_text(std::string_view noun, auto min, auto max) {
  return fmt::format("{} from {} to {}", noun, min, max);
}

}  // namespace

std::optional<std::uint64_t> Metadata::find_u64(std::string_view key, std::uint64_t min,
                                                std::uint64_t max) const {
  const MetadataValue* value = find(key);
  if (!value) return std::nullopt;
  const Number number = is_integer(value->type) ? scalar(*value) : Number{};
  if (!number.integer_in(min, max)) fail_type(key, *value, range_text("an integer", min, max));
  return static_cast<std::uint64_t>(number.integer);
}

std::optional<std::int64_t> Metadata::find_i64(std::string_view key, std::int64_t min,
                                               std::int64_t max) const {
  const MetadataValue* value = find(key);
  if (!value) return std::nullopt;
  const Number number = is_integer(value->type) ? scalar(*value) : Number{};
  if (!number.integer_in(min, max)) fail_type(key, *value, range_text("an integer", min, max));
  return static_cast<std::int64_t>(number.integer);
}

std::optional<std::uint32_t> Metadata::find_u32(std::string_view key, std::uint32_t min,
                                                std::uint32_t max) const {
  const auto value = find_u64(key, min, max);
  if (!value) return std::nullopt;
  return static_cast<std::uint32_t>(*value);
}

std::optional<double> Metadata::find_f64(std::string_view key, double min, double max) const {
  const MetadataValue* value = find(key);
  if (!value) return std::nullopt;
  // Written so that NaN, which compares false, is refused too.
  const double number = is_real(value->type) ? scalar(*value).real : 0;
  if (!is_real(value->type) || !(number >= min && number <= max))
    fail_type(key, *value, range_text("a float", min, max));
  return number;
}

std::optional<float> Metadata::find_f32(std::string_view key, float min, float max) const {
  const auto value = find_f64(key, static_cast<double>(min), static_cast<double>(max));
  if (!value) return std::nullopt;
  return static_cast<float>(*value);
}

std::optional<bool> Metadata::find_bool(std::string_view key) const {
  const MetadataValue* value = find(key);
  if (!value) return std::nullopt;
  if (value->type != ValueType::boolean) fail_type(key, *value, "bool");
  return scalar(*value).integer != 0;
}

std::optional<std::string_view> Metadata::find_string(std::string_view key) const {
  const MetadataValue* value = find(key);
  if (!value) return std::nullopt;
  if (value->type != ValueType::string) fail_type(key, *value, "string");
  return value->text();
}

std::uint32_t Metadata::require_u32(std::string_view key, std::uint32_t min,
                                    std::uint32_t max) const {
  const auto value = find_u32(key, min, max);
  if (!value) fail_missing(key);
  return *value;
}

std::uint64_t Metadata::require_u64(std::string_view key, std::uint64_t min,
                                    std::uint64_t max) const {
  const auto value = find_u64(key, min, max);
  if (!value) fail_missing(key);
  return *value;
}

float Metadata::require_f32(std::string_view key, float min, float max) const {
  const auto value = find_f32(key, min, max);
  if (!value) fail_missing(key);
  return *value;
}

bool Metadata::require_bool(std::string_view key) const {
  const auto value = find_bool(key);
  if (!value) fail_missing(key);
  return *value;
}

std::string_view Metadata::require_string(std::string_view key) const {
  const auto value = find_string(key);
  if (!value) fail_missing(key);
  return *value;
}

std::optional<std::vector<std::int32_t>> Metadata::find_i32_array(std::string_view key,
                                                                  std::int32_t min,
                                                                  std::int32_t max) const {
  const MetadataValue* value = find(key);
  if (!value) return std::nullopt;
  if (!value->is_array() || !is_integer(value->element)) fail_type(key, *value, "array of i32");
  std::vector<std::int32_t> result(value->count());
  for (std::size_t i = 0; i < result.size(); ++i) {
    const Number number = element(*value, i);
    if (!number.integer_in(min, max))
      fail(key, fmt::format("has {} at index {}, wanted {}", to_string(number), i,
                            range_text("an integer", min, max)));
    result[i] = static_cast<std::int32_t>(number.integer);
  }
  return result;
}

std::optional<std::vector<float>> Metadata::find_f32_array(std::string_view key) const {
  const MetadataValue* value = find(key);
  if (!value) return std::nullopt;
  if (!value->is_array() || !is_real(value->element)) fail_type(key, *value, "array of f32");
  std::vector<float> result(value->count());
  for (std::size_t i = 0; i < result.size(); ++i) {
    const double number = element(*value, i).real;
    if (!(number >= kLeast<float> && number <= kMost<float>))
      fail(key, fmt::format("has {} at index {}, wanted a finite float", number, i));
    result[i] = static_cast<float>(number);
  }
  return result;
}

std::optional<std::vector<bool>> Metadata::find_bool_array(std::string_view key) const {
  const MetadataValue* value = find(key);
  if (!value) return std::nullopt;
  if (!value->is_array() || value->element != ValueType::boolean)
    fail_type(key, *value, "array of bool");
  std::vector<bool> result(value->count());
  for (std::size_t i = 0; i < result.size(); ++i) result[i] = element(*value, i).integer != 0;
  return result;
}

std::optional<std::span<const std::string_view>> Metadata::find_string_array(
    std::string_view key) const {
  const MetadataValue* value = find(key);
  if (!value) return std::nullopt;
  if (!value->is_array() || value->element != ValueType::string)
    fail_type(key, *value, "array of string");
  return std::span<const std::string_view>(value->strings);
}

std::optional<std::vector<std::uint32_t>> Metadata::find_u32_per_layer(std::string_view key,
                                                                       std::size_t count,
                                                                       std::uint32_t min,
                                                                       std::uint32_t max) const {
  const MetadataValue* value = find(key);
  if (!value) return std::nullopt;
  if (!value->is_array()) return std::vector<std::uint32_t>(count, require_u32(key, min, max));
  if (!is_integer(value->element)) fail_type(key, *value, "u32 or array of u32");
  if (value->count() != count)
    fail(key,
         fmt::format("has {} elements, wanted one for each of {} layers", value->count(), count));
  std::vector<std::uint32_t> result(count);
  for (std::size_t i = 0; i < count; ++i) {
    const Number number = element(*value, i);
    if (!number.integer_in(min, max))
      fail(key, fmt::format("has {} at index {}, wanted {}", to_string(number), i,
                            range_text("an integer", min, max)));
    result[i] = static_cast<std::uint32_t>(number.integer);
  }
  return result;
}

}  // namespace strata
